"""Reads a person's lists from CSV text. Pure.

Reads only the columns `list` and `symbol`. Undoes the escaping of `feeds.csv_cells`, so that the import of an exported
file gives exactly the exported lists.
"""

import csv
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from feeds.csv_cells import unescape
from feeds.symbols import upper_case
from watchlist.errors import BadName
from watchlist.lists.rules import MAX_LISTS, MAX_NAME_LENGTH, MAX_SYMBOLS, NamedList, UserLists, check_name

MAX_FILE_BYTES = 256 * 1024
"""About the size of an export of twenty lists of two hundred symbols each."""
MAX_LINES = MAX_LISTS * (MAX_SYMBOLS + 1)


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line that is not imported: its number from 1, its beginning, and the reason."""

    line: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImportedLists:
    """The lists of a file in the file's order, and the lines that are not imported."""

    lists: tuple[NamedList, ...] = ()
    refusals: tuple[RefusedLine, ...] = ()


def read_lists(text: str, known: Collection[str]) -> ImportedLists:
    """Reads the lists in a CSV text. Refuses lines with symbols that are not in `known`.

    A header line names the columns. Without one, the first column is the list's name and the second the symbol. Raises
    nothing: errors of the text are refusals too.
    """
    try:
        lines = list(csv.reader(io.StringIO(text.lstrip("\N{BYTE ORDER MARK}"), newline=""), strict=True))
    except csv.Error as error:
        return ImportedLists(refusals=(RefusedLine(1, "", f"This is not a CSV file: {error}."),))
    if len(lines) > MAX_LINES + 1:
        return ImportedLists(refusals=(RefusedLine(len(lines), "", f"The file has more than {MAX_LINES} lines."),))
    header = [cell.strip().lower() for cell in lines[0]] if lines else []
    has_header = {"list", "symbol"} <= set(header)
    columns = (header.index("list"), header.index("symbol")) if has_header else (0, 1)
    reader = _LineReader(known, columns)
    for number, cells in enumerate(lines, start=1):
        if any(cell.strip() for cell in cells) and not (has_header and number == 1):
            reader.read(number, cells)
    return reader.imported


class _LineReader:
    """Builds the lists line by line. `columns` are the indexes of the cells with list name and symbol."""

    def __init__(self, known: Collection[str], columns: tuple[int, int]) -> None:
        self._known = known
        self._columns = columns
        self._lists: dict[str, NamedList] = {}
        self._refusals: list[RefusedLine] = []

    @property
    def imported(self) -> ImportedLists:
        return ImportedLists(tuple(self._lists.values()), tuple(self._refusals))

    def read(self, number: int, cells: Sequence[str]) -> None:
        name, symbol = (unescape(cells[column]).strip() if column < len(cells) else "" for column in self._columns)
        reason = self._add(name, upper_case(symbol))
        if reason:
            beginning = ", ".join(cell for cell in cells[:3] if cell)
            self._refusals.append(RefusedLine(number, beginning[:60], reason))

    def _add(self, name: str, symbol: str) -> str:
        """Adds a symbol to the list with this name, which it creates if necessary. An empty symbol adds only the list.

        Returns the reason if the line is refused, else an empty string.
        """
        key = name.casefold()
        try:
            named_list = self._lists.get(key) or NamedList(0, check_name(name, ()))
        except BadName as error:
            return str(error)
        if key not in self._lists and len(self._lists) >= MAX_LISTS:
            return f"There can be at most {MAX_LISTS} lists."
        reason = self._refuse_symbol(named_list, symbol) if symbol else ""
        if not reason:
            self._lists[key] = named_list.add(symbol) if symbol else named_list
        return reason

    def _refuse_symbol(self, named_list: NamedList, symbol: str) -> str:
        if symbol not in self._known:
            return f"No ticker is called {symbol[:20]}."
        if symbol in named_list.symbols:
            return f"{symbol} is already in “{named_list.name[:MAX_NAME_LENGTH]}”."
        return f"A list holds at most {MAX_SYMBOLS} symbols." if len(named_list.symbols) >= MAX_SYMBOLS else ""


def merge_lists(user_lists: UserLists, new_lists: Sequence[NamedList], replace: bool) -> tuple[UserLists, list[str]]:
    """Returns a person's lists with a file's lists added, and sentences about what did not fit.

    If the person has a list with the same name, the new symbols replace its symbols (`replace` is True) or are added to
    them.
    """
    problems = []
    for new in new_lists:
        old = user_lists.find_by_name(new.name)
        if old is None and len(user_lists.lists) >= MAX_LISTS:
            problems.append(f"“{new.name}” was not imported: you have {MAX_LISTS} lists, which is the maximum.")
        elif old is None:
            user_lists = user_lists.create(new.name, new.symbols)
        else:
            symbols = tuple(dict.fromkeys([*(() if replace else old.symbols), *new.symbols]))
            if excess := len(symbols[MAX_SYMBOLS:]):
                noun = "symbol was" if excess == 1 else "symbols were"
                problems.append(f"“{new.name}” is full: {excess} {noun} not imported.")
            user_lists = _replace_symbols(user_lists, old, symbols[:MAX_SYMBOLS])
    return user_lists, problems


def _replace_symbols(user_lists: UserLists, old: NamedList, symbols: tuple[str, ...]) -> UserLists:
    """Returns the lists with other symbols in the list `old`.

    Finds `old` by its name, because lists that were just created share the key UNSAVED.
    """
    changed = NamedList(old.key, old.name, symbols)
    return UserLists(tuple(changed if each.name == old.name else each for each in user_lists.lists))
