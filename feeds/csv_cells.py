"""Escapes text cells for CSV files, so that no spreadsheet runs them as formulas. Pure."""

import re

FORMULA = re.compile(r"'*[=+\-@\t\r]")
ESCAPED_FORMULA = re.compile(r"'+[=+\-@\t\r]")


def escape(cell: str) -> str:
    """Returns the cell. Puts an apostrophe in front if a spreadsheet could run the cell."""
    return "'" + cell if FORMULA.match(cell) else cell


def unescape(cell: str) -> str:
    """Returns the cell without the apostrophe that `escape` added."""
    return cell[1:] if ESCAPED_FORMULA.match(cell) else cell
