"""Finds invisible characters in the texts that people type. Pure."""

import unicodedata

JOINERS = "\u200c\u200d"
"""The characters zero width non-joiner and zero width joiner.

Some emoji and words of some scripts contain these characters.
"""
JOINED_CATEGORIES = ("So", "Sk", "Mn", "Mc", "Lo")


def is_visible(text: str) -> bool:
    """Returns whether all characters of a text are printable characters or correct joiners.

    Joiners are the invisible characters in JOINERS. A joiner is correct between two parts of an emoji, and between two
    letters of a script without upper case.
    """
    for before, letter, after in zip(" " + text, text, text[1:] + " ", strict=False):
        joins = letter in JOINERS and _can_be_joined(before) and _can_be_joined(after)
        if not letter.isprintable() and not joins:
            return False
    return True


def _can_be_joined(letter: str) -> bool:
    return unicodedata.category(letter) in JOINED_CATEGORIES
