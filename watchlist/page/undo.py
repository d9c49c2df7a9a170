"""Keeps changes in the web session, so that a person can undo them.

Each change has its own key in the session, so that two concurrent requests do not overwrite each other's changes.
"""

import secrets
from collections.abc import Mapping
from dataclasses import replace

import msgspec
from django.contrib.sessions.backends.base import SessionBase

from watchlist.lists.merging import free_name
from watchlist.lists.rules import MAX_SYMBOLS, UNSAVED, NamedList, UserLists

KEY_PREFIX = "undo:"
MAX_UNDOS = 10
# This maximum limits the size of the web session. One import can change 20 lists of 200 symbols.
MAX_KEPT_SYMBOLS = 8000
"""The maximum number of symbols in all changes of a web session together."""
SYMBOL_LENGTH = 20
"""How many characters of notes count as one symbol in MAX_KEPT_SYMBOLS."""


class RemovedSymbol(msgspec.Struct, frozen=True, tag_field="what", tag="symbol"):
    """A symbol that was removed from a list."""

    list_key: int = msgspec.field(name="list")
    symbol: str
    position: int = msgspec.field(name="at")
    note: str = ""

    @property
    def done(self) -> str:
        return f"{self.symbol} is back."

    @property
    def size(self) -> int:
        return 1 + _size_of_notes({self.symbol: self.note})

    def restore(self, lists: UserLists) -> UserLists:
        """Returns `lists` with the removed symbol and its note put back at the old position. Raises ListRefused."""
        named_list = lists.lists[0] if self.list_key == UNSAVED else lists.find(self.list_key)
        return lists.replace(named_list.add(self.symbol, self.position, self.note))


class ChangedNote(msgspec.Struct, frozen=True, tag_field="what", tag="note"):
    """The change or removal of a note about a symbol. `note` is the text before the change."""

    list_key: int = msgspec.field(name="list")
    symbol: str
    note: str

    @property
    def done(self) -> str:
        return f"The earlier note about {self.symbol} is back."

    @property
    def size(self) -> int:
        return 1 + _size_of_notes({self.symbol: self.note})

    def restore(self, lists: UserLists) -> UserLists:
        """Returns `lists` with the earlier note. Raises ListRefused."""
        return lists.replace(lists.find(self.list_key).write_note(self.symbol, self.note))


class DeletedList(msgspec.Struct, frozen=True, tag_field="what", tag="list"):
    """A list that was deleted. `position` was its position among the person's lists, from 0."""

    name: str
    symbols: tuple[str, ...]
    position: int = msgspec.field(name="at")
    columns: tuple[str, ...] = ()
    notes: Mapping[str, str] = {}
    list_key = UNSAVED

    @property
    def done(self) -> str:
        return f"“{self.name}” is back."

    @property
    def size(self) -> int:
        return len(self.symbols) + _size_of_notes(self.notes)

    def restore(self, lists: UserLists) -> UserLists:
        """Returns `lists` with the deleted list put back at its old position. Raises ListRefused.

        If another list now has the same name, a number is added to the name.
        """
        return lists.create(free_name(self.name, lists), self.symbols, self.position, self.columns, self.notes)


class SavedList(msgspec.Struct, frozen=True):
    """A copy of a list, as the list was before or after a change."""

    key: int
    name: str
    symbols: tuple[str, ...]
    position: int = msgspec.field(name="at")
    columns: tuple[str, ...] = ()
    notes: Mapping[str, str] = {}

    @property
    def content(self) -> tuple[int, tuple[str, ...], Mapping[str, str]]:
        return self.key, self.symbols, self.notes


class ChangedLists(msgspec.Struct, frozen=True, tag_field="what", tag="lists"):
    """A change that created lists or replaced the symbols or notes of lists.

    `before` holds the changed lists before the change. `after` holds the changed and the new lists after the change.
    `done` is the sentence to show after an undo.
    """

    done: str
    before: tuple[SavedList, ...]
    after: tuple[SavedList, ...]
    list_key = UNSAVED

    @property
    def size(self) -> int:
        return sum(len(saved.symbols) + _size_of_notes(saved.notes) for saved in (*self.before, *self.after))

    def restore(self, lists: UserLists) -> UserLists:
        """Returns `lists` after undoing the change. Raises ListRefused.

        Removes each list that the change created, except a list whose symbols or notes were changed later. Gives each
        list of `before` its old symbols and notes back. Keeps symbols and notes that the person added after the change.
        """
        old_keys = {saved.key for saved in self.before}
        created = [saved.content for saved in self.after if saved.key not in old_keys]
        kept = UserLists(tuple(each for each in lists.lists if (each.key, each.symbols, each.notes) not in created))
        changed = {saved.key: saved for saved in self.after}
        for saved in self.before:
            kept = _restore_list(kept, saved, changed.get(saved.key, saved))
        return kept if kept.lists else lists


Change = RemovedSymbol | ChangedNote | DeletedList | ChangedLists


class Undo(msgspec.Struct, frozen=True):
    """A change that can be undone.

    `owner` is the account or visitor who made the change, as text from `page_owner`. `at` is the time of the change in
    ns since 1970. `sentence` describes the change, such as `“Tech” was deleted.`
    """

    id: str
    owner: str
    at: int
    sentence: str
    change: Change


def _restore_list(lists: UserLists, saved: SavedList, changed: SavedList) -> UserLists:
    found = next((each for each in lists.lists if each.key == saved.key != UNSAVED), None)
    if found is None:
        return lists.create(free_name(saved.name, lists), saved.symbols, saved.position, saved.columns, saved.notes)
    added = [symbol for symbol in found.symbols if symbol not in changed.symbols]
    symbols = tuple(dict.fromkeys([*saved.symbols, *added]))[:MAX_SYMBOLS]
    written = {symbol: note for symbol, note in found.notes.items() if note != changed.notes.get(symbol)}
    return lists.replace(replace(found, symbols=symbols, notes={**saved.notes, **written}))


def _size_of_notes(notes: Mapping[str, str]) -> int:
    """Returns how many symbols need as much room as the notes. A symbol needs the room of SYMBOL_LENGTH characters."""
    return sum(map(len, notes.values())) // SYMBOL_LENGTH


def compare_lists(done: str, before: UserLists, after: UserLists) -> ChangedLists:
    """Returns the change from the lists `before` to the lists `after`.

    `after` must be the stored lists, in which new lists have keys. `done` is the sentence to show after an undo.
    """
    old, new = _save_lists(before), _save_lists(after)
    same = [saved.content for saved in old if saved.content in [each.content for each in new]]
    before_saved, after_saved = (
        tuple(saved for saved in all_saved if saved.content not in same) for all_saved in (old, new)
    )
    return ChangedLists(done, before_saved, after_saved)


def _save_lists(lists: UserLists) -> list[SavedList]:
    return [
        SavedList(each.key, each.name, each.symbols, at, each.columns, each.notes)
        for at, each in enumerate(lists.lists)
    ]


def find_stored(before: NamedList, lists_before: UserLists, lists_after: UserLists) -> int:
    """Returns the key that a list has after a change. `before` is the list before the change.

    If the list was not stored before, the change gave the list a new key. `lists_before` and `lists_after` are all
    lists of the person before and after the change, in the same order.
    """
    return lists_after.lists[lists_before.lists.index(before)].key


def take_stored_keys(before: UserLists, after: UserLists) -> UserLists:
    """Returns a copy of `before` in which each list has the key of the list at the same place in `after`."""
    pairs = zip(before.lists, after.lists, strict=True)
    return UserLists(tuple(replace(old, key=stored.key) for old, stored in pairs))


def remember_undo(session: SessionBase, owner: str, sentence: str, change: Change, now: int) -> None:
    """Adds a change to the web session, so that the person can undo it.

    If there are more than MAX_UNDOS changes or MAX_KEPT_SYMBOLS symbols, removes the oldest changes. The newest change
    always remains.
    """
    undo = Undo(secrets.token_hex(8), owner, now, sentence, change)
    session[KEY_PREFIX + undo.id] = msgspec.to_builtins(undo)
    size = 0
    for number, kept in enumerate(read_undos(session, owner)):
        size += kept.change.size
        if number and (number >= MAX_UNDOS or size > MAX_KEPT_SYMBOLS):
            forget_undo(session, kept.id)


def read_undos(session: SessionBase, owner: str) -> list[Undo]:
    """Returns the changes that `owner` can undo, the newest first."""
    undos = []
    for key, value in session.items():
        if key.startswith(KEY_PREFIX):
            try:
                undos.append(msgspec.convert(value, Undo))
            except msgspec.ValidationError:
                continue  # stored by another version
    return sorted((undo for undo in undos if undo.owner == owner), key=lambda undo: undo.at, reverse=True)


def find_undo(session: SessionBase, owner: str, undo_id: str) -> Undo | None:
    """Returns the change with this id, or None. An empty id means the newest change."""
    return next((undo for undo in read_undos(session, owner) if undo_id in {"", undo.id}), None)


def forget_undo(session: SessionBase, undo_id: str) -> None:
    session.pop(KEY_PREFIX + undo_id, None)
