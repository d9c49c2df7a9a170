"""A person's lists as a CSV file, and back. Pure: text and values in, text and values out.

Only `list` and `symbol` are read back; the other columns are for the person. A cell that a spreadsheet would run as a
formula gets an apostrophe in front, which reading takes away again, so that a file comes back exactly as it was.
"""

import csv
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from feeds.csv_cells import unescape
from feeds.symbols import upper_case
from watchlist.errors import BadName
from watchlist.lists.rules import LONGEST_NAME, MOST_LISTS, MOST_SYMBOLS, NamedList, UserLists, check_name

LARGEST_FILE = 256 * 1024
"""Bytes; twenty lists of two hundred symbols with every column are about this."""
MOST_LINES = MOST_LISTS * (MOST_SYMBOLS + 1)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that is not taken: its number in the file, what stands in it, and why."""

    line: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImportedLists:
    """What a file holds: lists in its order, and every line that is refused."""

    lists: tuple[NamedList, ...] = ()
    refusals: tuple[Refusal, ...] = ()


def read_lists(text: str, known: Collection[str]) -> ImportedLists:
    """`known` are the symbols that may be listed. Columns are found by the header; without one: list, symbol."""
    try:
        lines = list(csv.reader(io.StringIO(text.lstrip("\N{BYTE ORDER MARK}"), newline=""), strict=True))
    except csv.Error as error:
        return ImportedLists(refusals=(Refusal(1, "", f"This is no CSV file: {error}."),))
    if len(lines) > MOST_LINES + 1:
        return ImportedLists(refusals=(Refusal(len(lines), "", f"The file has more than {MOST_LINES} lines."),))
    head = [cell.strip().lower() for cell in lines[0]] if lines else []
    at = (head.index("list"), head.index("symbol")) if {"list", "symbol"} <= set(head) else None
    reader = _Reader(known, at or (0, 1))
    for number, cells in enumerate(lines, start=1):
        if any(cell.strip() for cell in cells) and not (at and number == 1):
            reader.take(number, cells)
    return reader.reading


class _Reader:
    """Builds the lists line by line."""

    def __init__(self, known: Collection[str], at: tuple[int, int]) -> None:
        self._known = known
        self._at = at
        self._lists: dict[str, NamedList] = {}
        self._refusals: list[Refusal] = []

    @property
    def reading(self) -> ImportedLists:
        return ImportedLists(tuple(self._lists.values()), tuple(self._refusals))

    def take(self, number: int, cells: Sequence[str]) -> None:
        reason = self._refuse(*(unescape(cells[at]).strip() if at < len(cells) else "" for at in self._at))
        if reason:
            shown = ", ".join(cell for cell in cells[:3] if cell)
            self._refusals.append(Refusal(number, shown[:60], reason))

    def _refuse(self, name: str, symbol: str) -> str:
        """Takes the line, or says why not."""
        symbol = upper_case(symbol)
        try:
            named = self._lists.get(name.casefold()) or NamedList(0, check_name(name, ()))
        except BadName as error:
            return str(error)
        if name.casefold() not in self._lists and len(self._lists) >= MOST_LISTS:
            return f"There can be at most {MOST_LISTS} lists."
        reason = self._refuse_symbol(named, symbol) if symbol else ""
        if not reason:
            self._lists[name.casefold()] = named.add(symbol) if symbol else named
        return reason

    def _refuse_symbol(self, named: NamedList, symbol: str) -> str:
        if symbol not in self._known:
            return f"No ticker is called {symbol[:20]}."
        if symbol in named.symbols:
            return f"{symbol} stands in “{named.name[:LONGEST_NAME]}” already."
        return f"A list holds at most {MOST_SYMBOLS} symbols." if len(named.symbols) >= MOST_SYMBOLS else ""


def merge_lists(book: UserLists, lists: Sequence[NamedList], replace: bool) -> tuple[UserLists, list[str]]:
    """The book with the lists of a file, and sentences about what found no room.

    A list whose name the book has is replaced, or gets the symbols that it lacks.
    """
    said = []
    for new in lists:
        old = next((named for named in book.lists if named.name.casefold() == new.name.casefold()), None)
        if old is None and len(book.lists) >= MOST_LISTS:
            said.append(f"“{new.name}” was left out: you have {MOST_LISTS} lists, which is the most there can be.")
        elif old is None:
            book = book.open(new.name, new.symbols)
        else:
            before = () if replace else old.symbols
            after = tuple(dict.fromkeys([*before, *new.symbols]))
            if len(after) > MOST_SYMBOLS:
                said.append(f"“{new.name}” is full: {len(after) - MOST_SYMBOLS} symbols were left out.")
            book = UserLists(
                tuple(
                    NamedList(old.key, old.name, after[:MOST_SYMBOLS]) if named.name == old.name else named
                    for named in book.lists
                )
            )
    return book, said
