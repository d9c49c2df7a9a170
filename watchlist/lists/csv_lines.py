"""Splits an imported text into numbered lines of cells. Pure.

Finds the separator of the cells, and accepts Excel's line `sep=;`. A wrong quotation mark makes only its own line
unreadable.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SEPARATORS = (",", ";", "\t", "|")
SNIFFED_LINES = 20
# Without this maximum, a quotation mark that is never closed would cost much work.
MAX_JOINED_LINES = 5
"""The maximum number of lines in one quoted cell."""
LINE_END = re.compile(r"\r\n|\r|\n")
SEPARATOR_LINE = re.compile(r"\s*\"?sep=(\t|[,;|])\"?\s*", re.IGNORECASE)
QUOTED = re.compile(r'"[^"]*"')


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an imported text, split into cells.

    `number` is the number of the line, from 1. `problem` says why the line cannot be read. A readable line has an empty
    `problem`.
    """

    number: int
    text: str
    cells: tuple[str, ...]
    problem: str = ""

    @property
    def is_comment(self) -> bool:
        return self.text.lstrip().startswith("#") and not self.text.lstrip().startswith("###")


def split_lines(text: str) -> list[tuple[int, str]]:
    """Returns the number, from 1, and the text of each line. Leaves out blank lines."""
    lines = enumerate(LINE_END.split(text.lstrip("\N{BYTE ORDER MARK}")), start=1)
    return [(number, line) for number, line in lines if line.strip()]


def read_cells(lines: Sequence[tuple[int, str]]) -> Iterator[Line]:
    """Yields the lines, split into cells. Leaves out a first line such as `sep=;`.

    `lines` are the pairs from `split_lines`.
    """
    separator = ","
    if lines:
        declared = SEPARATOR_LINE.fullmatch(lines[0][1])
        lines = lines[1:] if declared else lines
        separator = declared[1] if declared else sniff_separator([line for _, line in lines])
    at = 0
    while at < len(lines):
        line, used = _read_record(lines[at : at + MAX_JOINED_LINES], separator)
        yield line
        at += used


def sniff_separator(lines: Sequence[str]) -> str:
    """Returns the character that most likely separates the cells of these lines."""
    samples = [QUOTED.sub("", line) for line in lines if not line.startswith("#")][:SNIFFED_LINES]
    first = samples[0] if samples else ""

    def rank(separator: str) -> tuple[bool, int, int]:
        return separator in first, sum(separator in sample for sample in samples), first.count(separator)

    return max(SEPARATORS, key=rank)  # the first of the separators with an equal rank


def _read_record(lines: Sequence[tuple[int, str]], separator: str) -> tuple[Line, int]:
    """Reads the record at the start of `lines`. Returns the record, and how many lines the record has.

    A record has several lines if a cell in quotation marks contains line ends.
    """
    number, first = lines[0]
    for used in range(1, len(lines) + 1):
        text = "\n".join(line for _, line in lines[:used])
        try:
            return Line(number, first, _split(text, separator, strict=True)), used
        except csv.Error as error:
            if "unexpected end" not in str(error):
                break
    else:
        return Line(number, first, (), "A quotation mark is not closed in this line."), 1
    try:
        return Line(number, first, _split(first, separator, strict=False)), 1
    except csv.Error:  # the limit of the csv module, 131,072 characters
        return Line(number, first, (), "This line is too long."), 1


def _split(text: str, separator: str, strict: bool) -> tuple[str, ...]:
    """Returns the cells of a record. Raises csv.Error if the csv module cannot read the record."""
    rows = list(csv.reader([text], delimiter=separator, strict=strict))
    return tuple(rows[0]) if rows else ()
