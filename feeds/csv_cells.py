"""Escapes the cells of a CSV file that a spreadsheet would run as a formula. Pure."""

import re

RUNS = re.compile(r"'*[=+\-@\t\r]")


ESCAPED = re.compile(r"'+[=+\-@\t\r]")


def escape(cell: str) -> str:
    return "'" + cell if RUNS.match(cell) else cell


def unescape(cell: str) -> str:
    return cell[1:] if ESCAPED.match(cell) else cell
