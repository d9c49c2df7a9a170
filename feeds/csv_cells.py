"""Escapes cells of a CSV file that a spreadsheet would run as a formula. Pure."""

import re

FORMULA = re.compile(r"'*[=+\-@\t\r]")
ESCAPED_FORMULA = re.compile(r"'+[=+\-@\t\r]")


def escape(cell: str) -> str:
    """Returns the cell, with an apostrophe in front if a spreadsheet could run it."""
    return "'" + cell if FORMULA.match(cell) else cell


def unescape(cell: str) -> str:
    """Returns the cell without the apostrophe that `escape` added."""
    return cell[1:] if ESCAPED_FORMULA.match(cell) else cell
