"""Removes case and accents from texts, for searches. Pure."""

import unicodedata
from functools import lru_cache

MAX_LENGTH = 80
"""The maximum length of a ticker's name and of a searched text, in characters."""
BASE_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})
"""A translation table for letters that Unicode does not decompose into a base letter and an accent."""


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """Returns the text without case and accents, cut at MAX_LENGTH characters: `Nestlé` becomes `nestle`."""
    # Normalization takes quadratic time, so the length is limited first.
    letters = unicodedata.normalize("NFKD", text[:MAX_LENGTH].casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).translate(BASE_LETTERS)
