"""What a symbol is, and how it is written. Pure."""

import re
from functools import lru_cache

LONGEST_SYMBOL = 15


SYMBOL = re.compile(r"[A-Z0-9^][A-Z0-9.\-^/=]{0,14}")


SYMBOL_WORDS = "1 to 15 of the characters A-Z 0-9 . - ^ / =, the first of them A-Z, 0-9 or ^"


def is_symbol(text: str) -> bool:
    # The length comes first: it bounds what the cache can hold, and the cache spares the hot path a regular expression.
    return len(text) <= LONGEST_SYMBOL and _matches(text)


@lru_cache(maxsize=1 << 16)
def _matches(text: str) -> bool:
    return SYMBOL.fullmatch(text) is not None


def upper_case(text: str) -> str:
    """A symbol as tickers have it, from what a person or a program wrote.

    Only ASCII is changed: `"ß".upper()` is `"SS"`, which would turn a word into a symbol.
    """
    text = text.strip()
    return text.upper() if text.isascii() else text
