"""Escapes text cells for CSV files, so that no spreadsheet runs them as formulas. Pure."""

import re

# A spreadsheet of a country with decimal commas splits cells at semicolons, and some read full-width signs as ASCII.
_BEGINNING = r"(?:^|(?<=[;|\t\r\n]))"
_FORMULA = r"'*[=+\-@\t\r＝＋－＠]"
FORMULA = re.compile(f"{_BEGINNING}(?={_FORMULA})")
ESCAPED_FORMULA = re.compile(f"{_BEGINNING}'(?={_FORMULA})")


def escape(cell: str) -> str:
    """Puts an apostrophe in front of each part of a cell that could run."""
    return FORMULA.sub("'", cell)


def unescape(cell: str) -> str:
    """Removes the apostrophes that `escape` added."""
    return ESCAPED_FORMULA.sub("", cell)
