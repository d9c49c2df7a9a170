"""Escapes CSV cells that a spreadsheet would run as formulas. Pure."""

import re

# In countries with decimal commas, spreadsheets split cells at semicolons. Some spreadsheets read full-width signs as
# ASCII.
_BEGINNING = r"(?:^|(?<=[;|\t\r\n]))"
_FORMULA = r"'*[=+\-@\t\r＝＋－＠]"
FORMULA = re.compile(f"{_BEGINNING}(?={_FORMULA})")
ESCAPED_FORMULA = re.compile(f"{_BEGINNING}'(?={_FORMULA})")


def escape(cell: str) -> str:
    """Returns the cell with an apostrophe before each part that a spreadsheet could run as a formula."""
    return FORMULA.sub("'", cell)


def unescape(cell: str) -> str:
    """Returns the cell without the apostrophes that `escape` added."""
    return ESCAPED_FORMULA.sub("", cell)
