"""Defines one person's lists as immutable values, and the rules of changing lists. Pure.

Every change returns a changed copy. `lists.storage` saves the copy.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from watchlist.errors import AlreadyListed, BadName, ListFull, NoSuchList, NotListed, TooManyLists
from watchlist.lists.notes import check_note
from watchlist.lists.visibility import is_visible

MAX_LISTS = 20
MAX_SYMBOLS = 200
MAX_NAME_LENGTH = 40
UNSAVED = 0
"""The key of a list that is not stored yet."""


@dataclass(frozen=True, slots=True)
class Tab:
    """The tab of a list on the page.

    `count` is the number of symbols in the list. `version` is the version of the list in the database, or 0 for a list
    that is not in the database. `columns` holds the keys of the chosen columns. `is_shared` says whether the list has a
    link that shows the list to other people.
    """

    key: int
    name: str
    count: int
    version: int = 0
    columns: tuple[str, ...] = ()
    is_shared: bool = False


@dataclass(frozen=True, slots=True)
class NamedList:
    """A list. `key` identifies the list among the person's lists.

    `symbols` are in the person's order, without duplicates. `columns` holds the keys of the columns that the person
    chose, in order. `columns` is empty for the default columns. `notes` maps symbols of the list to notes.
    """

    key: int
    name: str
    symbols: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        # Every copy drops the notes of symbols that are no longer in the list.
        if self.notes:
            kept = {symbol: self.notes[symbol] for symbol in self.symbols if self.notes.get(symbol)}
            object.__setattr__(self, "notes", kept)

    def add(self, symbol: str, position: int | None = None, note: str = "") -> "NamedList":
        """Returns a copy with `symbol` inserted at `position`, which counts from 0. The default position is the end.

        `note` is the note of the symbol. Raises AlreadyListed or ListFull.
        """
        if symbol in self.symbols:
            raise AlreadyListed(f"{symbol} is already in “{self.name}”.")
        if len(self.symbols) >= MAX_SYMBOLS:
            raise ListFull(f"“{self.name}” is full: a list holds {MAX_SYMBOLS} symbols. Remove one to add {symbol}.")
        position = len(self.symbols) if position is None else position
        symbols = (*self.symbols[:position], symbol, *self.symbols[position:])
        return replace(self, symbols=symbols, notes={**self.notes, symbol: note} if note else self.notes)

    def write_note(self, symbol: str, text: str) -> "NamedList":
        """Returns a copy in which the symbol has the note `text`. An empty text removes the note.

        Raises NotListed or BadNote.
        """
        self.index(symbol)
        return replace(self, notes={**self.notes, symbol: check_note(text)})

    def remove(self, symbol: str) -> "NamedList":
        """Returns a copy without the symbol and its note. Raises NotListed."""
        self.index(symbol)
        return replace(self, symbols=tuple(listed for listed in self.symbols if listed != symbol))

    def move(self, symbol: str, position: int) -> "NamedList":
        """Returns a copy with `symbol` moved to `position`, which counts from 0. Raises NotListed.

        A negative position means the start of the list. A position after the end means the end.
        """
        rest = self.remove(symbol).symbols
        position = max(0, min(position, len(rest)))
        return replace(self, symbols=(*rest[:position], symbol, *rest[position:]))

    def index(self, symbol: str) -> int:
        """Returns the position of a symbol, from 0. Raises NotListed."""
        if symbol not in self.symbols:
            raise NotListed(f"{symbol} is not in “{self.name}”.")
        return self.symbols.index(symbol)


@dataclass(frozen=True, slots=True)
class UserLists:
    """All lists of one person, in the person's order."""

    lists: tuple[NamedList, ...]

    def find(self, key: int) -> NamedList:
        """Returns the list with this key. Raises NoSuchList."""
        for named_list in self.lists:
            if named_list.key == key:
                return named_list
        raise NoSuchList("This list no longer exists. It was deleted in another tab or on another device.")

    def find_by_name(self, name: str) -> NamedList | None:
        """Returns the list with this name, or None. Ignores case and the encoding of accents."""
        key = name_key(name)
        return next((each for each in self.lists if name_key(each.name) == key), None)

    def replace(self, changed: NamedList) -> "UserLists":
        """Returns a copy in which `changed` replaces the list with the same key. Raises NoSuchList."""
        self.find(changed.key)
        return UserLists(tuple(changed if each.key == changed.key else each for each in self.lists))

    def create(
        self,
        name: str,
        symbols: Iterable[str] = (),
        position: int | None = None,
        columns: tuple[str, ...] = (),
        notes: Mapping[str, str] | None = None,
    ) -> "UserLists":
        """Returns a copy with a new list at `position`, which counts from 0. The default position is the end.

        The new list holds at most the first MAX_SYMBOLS of `symbols`. Raises TooManyLists or BadName.
        """
        if len(self.lists) >= MAX_LISTS:
            raise TooManyLists(f"You have {MAX_LISTS} lists, which is the maximum. Delete one first.")
        position = len(self.lists) if position is None else position
        new = NamedList(UNSAVED, check_name(name, self.lists), tuple(symbols)[:MAX_SYMBOLS], columns, notes or {})
        return UserLists((*self.lists[:position], new, *self.lists[position:]))

    def rename(self, key: int, name: str) -> "UserLists":
        """Returns a copy in which the list with this key is called `name`. Raises NoSuchList or BadName."""
        others = [each for each in self.lists if each.key != key]
        return self.replace(replace(self.find(key), name=check_name(name, others)))

    def delete(self, key: int) -> "UserLists":
        """Returns a copy without the list with this key.

        Raises NoSuchList. Raises BadName if the person has only one list.
        """
        self.find(key)
        if len(self.lists) == 1:
            raise BadName("This is your only list. Rename it, or remove its symbols.")
        return UserLists(tuple(each for each in self.lists if each.key != key))

    def shift(self, key: int, by: int) -> "UserLists":
        """Returns a copy in which one list has another place. Raises NoSuchList.

        `by` is the number of places that the list moves to the right; a negative number moves it to the left. The move
        stops at the first and at the last place.
        """
        named_list = self.find(key)
        rest = [each for each in self.lists if each.key != key]
        position = max(0, self.lists.index(named_list) + by)
        return UserLists((*rest[:position], named_list, *rest[position:]))


def check_name(name: str, others: Sequence[NamedList]) -> str:
    """Returns the name of a list in the Unicode form NFC, with single spaces.

    Raises BadName if the name is not allowed, or if a list in `others` has the name.
    """
    name = " ".join(name.split())
    if not name:
        raise BadName("A list needs a name.")
    # Normalization takes quadratic time, so the length is limited first. Normalization can shorten a name.
    if len(name) <= 2 * MAX_NAME_LENGTH:
        name = unicodedata.normalize("NFC", name)
    if len(name) > MAX_NAME_LENGTH:
        raise BadName(f"The name of a list can have {MAX_NAME_LENGTH} characters. This one has {len(name)}.")
    if not is_visible(name):
        raise BadName("The name of a list cannot contain invisible characters.")
    if name_key(name) in {name_key(other.name) for other in others}:
        raise BadName(f"You already have a list called “{name}”.")
    return name


def name_key(name: str) -> str:
    """Returns a key for comparisons. Names that differ only by case or the encoding of accents have the same key."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name[: 2 * MAX_NAME_LENGTH]).casefold())
