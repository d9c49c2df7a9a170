"""Defines which texts are symbols, and turns user input into upper case. Pure."""

import re
from functools import lru_cache

MAX_SYMBOL_LENGTH = 15

SYMBOL_PATTERN = re.compile(r"[A-Z0-9^][A-Z0-9.\-^/=]{0,14}")

SYMBOL_RULE = "1 to 15 of the characters A-Z 0-9 . - ^ / =, the first of them A-Z, 0-9 or ^"
"""SYMBOL_PATTERN in words, for error messages."""


def is_symbol(text: str) -> bool:
    """Returns whether a text is a symbol."""
    # The length is checked first, so that only short texts enter the cache. The cache saves most pattern matches.
    return len(text) <= MAX_SYMBOL_LENGTH and _matches(text)


@lru_cache(maxsize=1 << 16)
def _matches(text: str) -> bool:
    return SYMBOL_PATTERN.fullmatch(text) is not None


def upper_case(text: str) -> str:
    """Removes spaces around user input, and turns ASCII text into upper case. Other text keeps its case."""
    # Upper case could turn another text into a symbol: `"ß".upper()` is `"SS"`.
    text = text.strip()
    return text.upper() if text.isascii() else text
