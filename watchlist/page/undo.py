"""Remembers the newest removal of a symbol or list in the web session, for undo."""

import msgspec
from django.contrib.sessions.backends.base import SessionBase

from watchlist.lists.rules import UNSAVED, UserLists

SESSION_KEY = "undo"


class RemovedSymbol(msgspec.Struct, frozen=True, tag_field="what", tag="symbol"):
    """A symbol that was removed from a list, and its position there, from 0.

    `list_key` is UNSAVED if the list was not stored before the removal.
    """

    list_key: int = msgspec.field(name="list")
    symbol: str
    position: int = msgspec.field(name="at")

    def restore(self, lists: UserLists) -> UserLists:
        """Returns the lists with the symbol at its old position. Raises ListRefused."""
        named_list = lists.lists[0] if self.list_key == UNSAVED else lists.find(self.list_key)
        return lists.replace(named_list.add(self.symbol, self.position))


class DeletedList(msgspec.Struct, frozen=True, tag_field="what", tag="list"):
    """A list that was deleted, and its position among the person's lists, from 0."""

    name: str
    symbols: tuple[str, ...]
    position: int = msgspec.field(name="at")

    def restore(self, lists: UserLists) -> UserLists:
        """Returns the lists with the deleted one at its old position. Raises ListRefused."""
        return lists.create(self.name, self.symbols, self.position)


Removal = RemovedSymbol | DeletedList


def remember_removal(session: SessionBase, removal: Removal) -> None:
    session[SESSION_KEY] = msgspec.to_builtins(removal)


def take_removal(session: SessionBase) -> Removal | None:
    """Returns the newest removal and forgets it; None if none is remembered."""
    stored = session.pop(SESSION_KEY, None)
    if stored is None:
        return None
    try:
        removal: Removal = msgspec.convert(stored, Removal)
    except msgspec.ValidationError:
        return None  # another version of this program stored it
    return removal
