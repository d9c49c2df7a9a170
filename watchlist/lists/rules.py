"""The lists of one person as a value, and the rules of changing them. Pure: every change returns a new book.

Where a book is kept, in an account or in a visitor's session, is the business of `lists`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from watchlist.errors import AlreadyListed, BadName, ListFull, NoSuchList, NotListed, TooManyLists

MOST_LISTS = 20
MOST_SYMBOLS = 200
LONGEST_NAME = 40
UNSAVED = 0
"""Key of a list that is not kept anywhere yet."""


@dataclass(frozen=True, slots=True)
class NamedList:
    """`key` tells a person's lists apart; `symbols` are in his order, each once."""

    key: int
    name: str
    symbols: tuple[str, ...] = ()

    def add(self, symbol: str, at: int | None = None) -> "NamedList":
        """At the end, or before the symbol that stands at `at`. Raises AlreadyListed or ListFull."""
        if symbol in self.symbols:
            raise AlreadyListed(f"{symbol} is in “{self.name}” already.")
        if len(self.symbols) >= MOST_SYMBOLS:
            raise ListFull(f"“{self.name}” is full: a list holds {MOST_SYMBOLS} symbols. Remove one to add {symbol}.")
        at = len(self.symbols) if at is None else at
        return replace(self, symbols=(*self.symbols[:at], symbol, *self.symbols[at:]))

    def remove(self, symbol: str) -> "NamedList":
        """Raises NotListed."""
        self.index(symbol)
        return replace(self, symbols=tuple(listed for listed in self.symbols if listed != symbol))

    def move(self, symbol: str, to: int) -> "NamedList":
        """To a place counted from 0; past either end is that end. Raises NotListed."""
        rest = self.remove(symbol).symbols
        to = max(0, min(to, len(rest)))
        return replace(self, symbols=(*rest[:to], symbol, *rest[to:]))

    def index(self, symbol: str) -> int:
        """Raises NotListed."""
        if symbol not in self.symbols:
            raise NotListed(f"{symbol} is not in “{self.name}”.")
        return self.symbols.index(symbol)


@dataclass(frozen=True, slots=True)
class UserLists:
    """All lists of one person, in his order; there is always at least one."""

    lists: tuple[NamedList, ...]

    def find(self, key: int) -> NamedList:
        """Raises NoSuchList."""
        for named in self.lists:
            if named.key == key:
                return named
        raise NoSuchList("This list is gone: it was deleted in another tab or on another device.")

    def put(self, changed: NamedList) -> "UserLists":
        """With this list instead of the one of its key. Raises NoSuchList."""
        self.find(changed.key)
        return UserLists(tuple(changed if named.key == changed.key else named for named in self.lists))

    def open(self, name: str, symbols: Iterable[str] = (), at: int | None = None) -> "UserLists":
        """With a new list, at the end or at a place. Raises TooManyLists or BadName."""
        if len(self.lists) >= MOST_LISTS:
            raise TooManyLists(f"You have {MOST_LISTS} lists, which is the most there can be. Delete one first.")
        at = len(self.lists) if at is None else at
        new = NamedList(UNSAVED, check_name(name, self.lists), tuple(symbols)[:MOST_SYMBOLS])
        return UserLists((*self.lists[:at], new, *self.lists[at:]))

    def rename(self, key: int, name: str) -> "UserLists":
        """Raises NoSuchList or BadName."""
        others = [named for named in self.lists if named.key != key]
        return self.put(replace(self.find(key), name=check_name(name, others)))

    def delete(self, key: int) -> "UserLists":
        """Raises NoSuchList; BadName where it is the only one."""
        self.find(key)
        if len(self.lists) == 1:
            raise BadName("This is your only list: rename it, or remove its symbols.")
        return UserLists(tuple(named for named in self.lists if named.key != key))

    def shift(self, key: int, by: int) -> "UserLists":
        """With the list moved along the tabs; past either end is that end. Raises NoSuchList."""
        named = self.find(key)
        rest = [other for other in self.lists if other.key != key]
        to = max(0, self.lists.index(named) + by)
        return UserLists((*rest[:to], named, *rest[to:]))


def check_name(name: str, others: Sequence[NamedList]) -> str:
    """The name, with single spaces. Raises BadName."""
    name = " ".join(name.split())
    if not name:
        raise BadName("A list needs a name.")
    if len(name) > LONGEST_NAME:
        raise BadName(f"A list's name has at most {LONGEST_NAME} characters; this one has {len(name)}.")
    if not name.isprintable():
        raise BadName("A list's name cannot have characters that do not print.")
    if name.casefold() in {other.name.casefold() for other in others}:
        raise BadName(f"You have a list called “{name}” already.")
    return name
