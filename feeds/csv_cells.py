"""Escapes cells of a CSV file that a spreadsheet would run as a formula. Pure."""

import re

FORMULA = re.compile(r"'*[=+\-@\t\r]")
ESCAPED_FORMULA = re.compile(r"'+[=+\-@\t\r]")


def escape(cell: str) -> str:
    """Puts an apostrophe in front of a cell that could run."""
    return "'" + cell if FORMULA.match(cell) else cell


def unescape(cell: str) -> str:
    """Removes the apostrophe that `escape` added."""
    return cell[1:] if ESCAPED_FORMULA.match(cell) else cell
