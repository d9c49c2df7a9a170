"""Reads a person's lists from a file. Pure.

The file is an export of this site, an export of another site, or a plain list of symbols.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from feeds.csv_cells import unescape
from watchlist.errors import BadName, BadNote
from watchlist.lists.csv_columns import Columns, find_columns
from watchlist.lists.csv_lines import Line, read_cells, split_lines
from watchlist.lists.foreign_symbols import clean_spelling, find_symbol
from watchlist.lists.notes import check_note
from watchlist.lists.rules import MAX_LISTS, MAX_NAME_LENGTH, MAX_SYMBOLS, NamedList, check_name, name_key

# MAX_LISTS lists of MAX_SYMBOLS symbols fit into a file of this size.
MAX_FILE_BYTES = 2_500_000
"""The maximum size of an imported file in bytes."""
MAX_LINES = MAX_LISTS * (MAX_SYMBOLS + 1)
DEFAULT_NAME = "Imported"
SECTION = "###"


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line of the file that is not imported.

    `line` is the number of the line, from 1. `text` is the beginning of the line. `reason` is a sentence for the
    person.
    """

    line: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImportedLists:
    """The lists of a file, in the file's order, and the refused lines."""

    lists: tuple[NamedList, ...] = ()
    refusals: tuple[RefusedLine, ...] = ()


def read_lists(text: str, known: Collection[str], name: str = DEFAULT_NAME) -> ImportedLists:
    """Reads lists of symbols from the text of a file. Refuses symbols that are not in `known`.

    Symbols that the file puts into no list are added to a list called `name`. If the file has a header, only the
    columns of symbols, list names and notes are read. Without a header, each line has one of these forms:

    - a list's name and one symbol
    - any number of symbols
    - `###NAME`: the symbols in the lines below belong to the list NAME
    """
    lines = split_lines(text)
    if len(lines) > MAX_LINES + 1:
        return ImportedLists(refusals=(RefusedLine(lines[-1][0], "", f"The file has more than {MAX_LINES} lines."),))
    reader = _Reader(known, name)
    for line in read_cells(lines):
        reader.read(line)
    return reader.imported


def name_of_file(file_name: str) -> str:
    """Returns the file's name without the ending, or DEFAULT_NAME if a list cannot have this name."""
    stem, dot, ending = file_name[:255].rpartition(".")
    stem = stem if dot else ending
    try:
        return check_name("".join(filter(str.isprintable, stem))[:MAX_NAME_LENGTH], ())
    except BadName:
        return DEFAULT_NAME


class _Reader:
    """Builds lists from an imported file, one line at a time."""

    def __init__(self, known: Collection[str], name: str) -> None:
        self._known = known
        self._section = name
        self._columns: Columns | None = None
        self._has_symbols = False
        self._is_plain = False
        self._symbols_read = 0
        self._lists: dict[str, NamedList] = {}
        self._refusals: list[RefusedLine] = []

    @property
    def imported(self) -> ImportedLists:
        return ImportedLists(tuple(self._lists.values()), tuple(self._refusals))

    def read(self, line: Line) -> None:
        if self._is_comment(line):
            return
        if line.problem:
            self._refuse(line, line.problem)
        elif self._columns is not None:
            self._read_columns(line, self._columns)
        elif not self._has_symbols and (columns := find_columns(line.cells)):
            self._columns = columns
        else:
            self._read_without_header(line)

    def _is_comment(self, line: Line) -> bool:
        """Returns whether a line is a comment.

        A comment begins with `#`, but not with `###`. In a file with a header, a line with as many cells as the header
        is no comment.
        """
        # The first cell of such a line may be the name of a list, such as `#1`.
        return line.is_comment and (self._columns is None or len(line.cells) != self._columns.count)

    def _read_columns(self, line: Line, columns: Columns) -> None:
        cells = [unescape(cell).strip() for cell in line.cells]
        if len(cells) <= max(columns.symbols, columns.names or 0):
            self._refuse(line, "This line has no symbol." if columns.names is not None else "This line is too short.")
            return
        name = self._section if columns.names is None else cells[columns.names]
        spelling = cells[columns.symbols]
        if not spelling and columns.names is None:
            self._refuse(line, "This line has no symbol.")
        else:
            self._add(line, name, spelling, note=_read_note(cells, columns))

    def _read_without_header(self, line: Line) -> None:
        cells = [unescape(cell).strip() for cell in line.cells]
        if self._names_a_list(cells):
            self._add(line, cells[0], cells[1])
            return
        self._is_plain = True
        for spelling in self._split_words(cells):
            if spelling.startswith(SECTION):
                self._section = spelling[len(SECTION) :].strip() or self._section
            elif self._symbols_read >= MAX_LINES:
                self._refuse(line, f"The file has more than {MAX_LINES} symbols.")
                return
            else:
                self._symbols_read += 1
                self._add(line, self._section, spelling, shown=spelling)

    def _names_a_list(self, cells: Sequence[str]) -> bool:
        """Returns whether a line begins with the name of a list. The file has no header.

        A cell that may be a symbol is never the name of a list.
        """
        if len(cells) < 2 or cells[0].startswith(SECTION) or ":" in cells[0] or self._find(cells[0]):
            return False
        if self._is_plain and cells[0].isascii() and cells[0].isupper():
            return False
        return not self._find(cells[2]) if len(cells) > 2 else True

    def _split_words(self, cells: Sequence[str]) -> Iterator[str]:
        """Yields the cells of a line, without empty cells.

        Splits a cell such as `AAPL MSFT` into words if the first word is a symbol and the whole cell is not.
        """
        for cell in filter(None, cells):
            words = cell.split()
            several = len(words) > 1 and not self._find(cell) and self._find(words[0])
            yield from words if several else (cell,)

    def _find(self, spelling: str) -> str | None:
        return find_symbol(spelling, self._known)

    def _add(self, line: Line, name: str, spelling: str, shown: str = "", note: str = "") -> None:
        """Adds a symbol to the list called `name`. A symbol whose note is not allowed is added without the note."""
        problem = ""
        try:
            note = check_note(note)
        except BadNote as error:
            note, problem = "", f"{spelling[:20]} is imported without its note. {error}"
        reason = self._add_symbol(name, spelling, note) or problem
        if reason:
            self._refuse(line, reason, shown)

    def _add_symbol(self, name: str, spelling: str, note: str) -> str:
        """Adds a symbol to the list called `name`. Returns why the symbol or the name is refused, or an empty text."""
        try:
            named_list = NamedList(0, check_name(name, ()))
        except BadName as error:
            return str(error)
        key = name_key(named_list.name)
        named_list = self._lists.get(key, named_list)
        if key not in self._lists and len(self._lists) >= MAX_LISTS:
            return f"There can be at most {MAX_LISTS} lists."
        symbol = self._find(spelling)
        reason = self._refuse_symbol(named_list, spelling, symbol) if spelling else ""
        if not reason:
            self._lists[key] = named_list.add(symbol, note=note) if symbol else named_list
            self._has_symbols = True
        return reason

    def _refuse_symbol(self, named_list: NamedList, spelling: str, symbol: str | None) -> str:
        if symbol is None:
            return f"No ticker is called {clean_spelling(spelling)[:20]}."
        if symbol in named_list.symbols:
            return f"{symbol} is already in “{named_list.name}”."
        return f"A list holds at most {MAX_SYMBOLS} symbols." if len(named_list.symbols) >= MAX_SYMBOLS else ""

    def _refuse(self, line: Line, reason: str, shown: str = "") -> None:
        beginning = shown or ", ".join(cell for cell in line.cells[:3] if cell) or line.text
        self._refusals.append(RefusedLine(line.number, beginning[:60], reason))


def _read_note(cells: Sequence[str], columns: Columns) -> str:
    """Returns the note in the cells of a line. The last cells of a line may be missing."""
    return cells[columns.notes] if columns.notes is not None and columns.notes < len(cells) else ""
