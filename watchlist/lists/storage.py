"""Stores a person's lists in the database (account) or in the web session (visitor).

Before a person's first change, nothing is stored. The person then sees one example list with the first served tickers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.base import SessionBase
from django.db import connection, transaction
from django.db.models import F

from feeds.models import Ticker
from watchlist.errors import NoSuchList, SessionEnded, TooManyNotes, TooManyVisitors
from watchlist.lists.entries import create_entries, read_entries
from watchlist.lists.listed_tickers import ListedTicker, read_listed_tickers, read_named_tickers
from watchlist.lists.merging import append_lists
from watchlist.lists.rules import UNSAVED, NamedList, Tab, UserLists
from watchlist.lists.search import served_tickers
from watchlist.lists.web_session import SessionStore
from watchlist.models import Entry, Watchlist

EXAMPLE_NAME = "Main"
EXAMPLE_SYMBOLS = 12
SESSION_KEY = "lists"
MAX_VISITOR_NOTES_LENGTH = 20_000
"""The maximum length of all notes of a visitor together, in characters.

The notes are in the web session. Each page reads the whole web session, so long notes would make pages slow.
"""

# Each page makes this query. Django would need longer to build it than the database needs to answer it.
SELECT_TABS = """
SELECT list.id, list.name, COUNT(entry.id), list.version, list.columns,
EXISTS (SELECT 1 FROM watchlist_sharelink AS link WHERE link.watchlist_id = list.id)
FROM watchlist_watchlist AS list
LEFT JOIN watchlist_entry AS entry ON entry.watchlist_id = list.id
WHERE list.owner_id = %s
GROUP BY list.id
ORDER BY list.position, list.id
"""

ListChange = Callable[[UserLists], UserLists]


class ListStore(Protocol):
    """Reads and changes the lists of one person. Only the method `change` writes."""

    @property
    def stored(self) -> bool:
        """Returns whether lists of the person are stored. False before the person's first change."""

    def tabs(self) -> list[Tab]:
        """Returns a tab for each list. There is at least one tab."""

    def tickers(self, key: int) -> Sequence[Ticker | ListedTicker]:
        """Returns the tickers of one list in the person's order. Raises NoSuchList."""

    def read(self) -> UserLists:
        """Returns all lists of the person."""

    def change(self, change: ListChange) -> UserLists:
        """Calls the function `change` with the lists. Stores and returns the result.

        If the function raises an error, this method stores nothing and raises the error.
        """


def store_for(
    user: User | AnonymousUser, session: SessionBase, may_start: Callable[[], bool] = lambda: True
) -> ListStore:
    """Returns the store for the lists of an account or of a visitor.

    `may_start` says whether the store may start a web session for a visitor. If `may_start` returns False,
    `ListStore.change` raises TooManyVisitors for a visitor without a web session.
    """
    return AccountLists(user) if isinstance(user, User) else VisitorLists(cast("SessionStore", session), may_start)


def example_tickers() -> list[Ticker]:
    return list(served_tickers()[:EXAMPLE_SYMBOLS])


def example_lists() -> UserLists:
    """Returns the lists of a person who has changed nothing yet: the example list alone."""
    return UserLists((NamedList(UNSAVED, EXAMPLE_NAME, tuple(ticker.symbol for ticker in example_tickers())),))


class AccountLists:
    """The lists of an account, in the database.

    `change` locks the row of the account, so that two changes of one account never run at the same time.
    """

    def __init__(self, user: User) -> None:
        self._user = user

    @property
    def stored(self) -> bool:
        return Watchlist.objects.filter(owner=self._user).exists()

    def tabs(self) -> list[Tab]:
        with connection.cursor() as cursor:
            cursor.execute(SELECT_TABS, [self._user.pk])
            rows = cursor.fetchall()
        tabs = [
            Tab(key, name, count, version, tuple(columns.split()), bool(is_shared))
            for key, name, count, version, columns, is_shared in rows
        ]
        return tabs or [Tab(UNSAVED, EXAMPLE_NAME, len(example_tickers()))]

    def tickers(self, key: int) -> Sequence[Ticker | ListedTicker]:
        return example_tickers() if key == UNSAVED else read_listed_tickers(key, self._user.pk)

    def read(self) -> UserLists:
        rows = Watchlist.objects.filter(owner=self._user)
        if not rows:
            return example_lists()
        notes = read_entries(row.pk for row in rows)
        return UserLists(
            tuple(
                NamedList(row.pk, row.name, tuple(notes[row.pk]), tuple(row.columns.split()), notes[row.pk])
                for row in rows
            )
        )

    @transaction.atomic
    def change(self, change: ListChange) -> UserLists:
        if not User.objects.select_for_update().filter(pk=self._user.pk).exists():
            raise SessionEnded("Your account was deleted in another tab or on another device. Nothing was changed.")
        before = self.read()
        return self._write(before, change(before))

    def _write(self, before: UserLists, after: UserLists) -> UserLists:
        keys = {named_list.key for named_list in after.lists}
        deleted = [named_list.key for named_list in before.lists if named_list.key not in keys]
        Watchlist.objects.filter(owner=self._user, pk__in=deleted).delete()
        old = {named_list.key: (position, named_list) for position, named_list in enumerate(before.lists)}
        written = []
        for position, named_list in enumerate(after.lists):
            if named_list.key == UNSAVED:
                written.append(self._create(position, named_list))
                continue
            if old[named_list.key] != (position, named_list):
                self._update(position, named_list, old[named_list.key][1])
            written.append(named_list)
        return UserLists(tuple(written))

    def _create(self, position: int, named_list: NamedList) -> NamedList:
        columns = " ".join(named_list.columns)
        row = Watchlist.objects.create(owner=self._user, name=named_list.name, position=position, columns=columns)
        create_entries(row.pk, named_list)
        return replace(named_list, key=row.pk)

    def _update(self, position: int, named_list: NamedList, old: NamedList) -> None:
        row = Watchlist.objects.filter(pk=named_list.key)
        columns = " ".join(named_list.columns)
        row.update(name=named_list.name, position=position, columns=columns, version=F("version") + 1)
        if (named_list.symbols, named_list.notes) != (old.symbols, old.notes):
            Entry.objects.filter(watchlist=named_list.key).delete()
            create_entries(named_list.key, named_list)


class VisitorLists:
    """The lists of a visitor, in the web session.

    `change` locks the row of the web session, so that two changes of one visitor never run at the same time.
    """

    def __init__(self, session: SessionStore, may_start: Callable[[], bool] = lambda: True) -> None:
        self._session = session
        self._may_start = may_start

    @property
    def stored(self) -> bool:
        return SESSION_KEY in self._session

    def tabs(self) -> list[Tab]:
        return [Tab(each.key, each.name, len(each.symbols), columns=each.columns) for each in self.read().lists]

    def tickers(self, key: int) -> Sequence[Ticker | ListedTicker]:
        named_list = self.read().find(key)
        return read_named_tickers(named_list.symbols, named_list.notes)

    def read(self) -> UserLists:
        stored: list[dict[str, Any]] | None = self._session.get(SESSION_KEY)
        if not stored:
            return example_lists()
        return UserLists(tuple(_from_stored(each) for each in stored))

    @transaction.atomic
    def change(self, change: ListChange) -> UserLists:
        self._session.lock()
        after = change(self.read())
        if sum(len(note) for each in after.lists for note in each.notes.values()) > MAX_VISITOR_NOTES_LENGTH:
            raise TooManyNotes("Your notes are too long to be kept without an account. Sign up to keep more.")
        if self._session.session_key is None and not self._may_start():
            raise TooManyVisitors("Too many visitors came from your address in the last hour. Sign in, or try later.")
        next_key = max(named_list.key for named_list in after.lists) + 1
        keyed = []
        for named_list in after.lists:
            if named_list.key == UNSAVED:
                named_list = replace(named_list, key=next_key)
                next_key += 1
            keyed.append(named_list)
        self._session[SESSION_KEY] = [_to_stored(each) for each in keyed]
        self._session.save()
        return UserLists(tuple(keyed))

    def delete(self) -> None:
        self._session.pop(SESSION_KEY, None)


def _to_stored(named_list: NamedList) -> dict[str, Any]:
    stored = {"key": named_list.key, "name": named_list.name, "symbols": list(named_list.symbols)}
    notes = {"notes": dict(named_list.notes)} if named_list.notes else {}
    return stored | {"columns": list(named_list.columns)} | notes


def _from_stored(stored: dict[str, Any]) -> NamedList:
    columns, notes = tuple(stored.get("columns", ())), stored.get("notes", {})
    return NamedList(stored["key"], stored["name"], tuple(stored["symbols"]), columns, notes)


@dataclass(frozen=True, slots=True)
class MovedLists:
    """The result of moving a visitor's lists into an account.

    `added` holds the names of the lists that were added to the account's lists. `left_out` holds the lists for which
    the account had no room.
    """

    added: tuple[str, ...] = ()
    left_out: tuple[NamedList, ...] = ()


def move_visitor_lists(session: SessionBase, user: User) -> MovedLists:
    """Moves a visitor's lists into the account, behind the lists that the account already has.

    If the account has no lists yet, the visitor's lists become the account's lists, and the result is empty.
    """
    visitor, account = VisitorLists(cast("SessionStore", session)), AccountLists(user)
    if not visitor.stored:
        return MovedLists()
    unsaved = UserLists(tuple(replace(named_list, key=UNSAVED) for named_list in visitor.read().lists))
    moved = MovedLists()

    def add(lists: UserLists) -> UserLists:
        nonlocal moved
        if not account.stored:
            return unsaved
        lists, added, left_out = append_lists(lists, unsaved.lists)
        moved = MovedLists(tuple(added), tuple(left_out))
        return lists

    account.change(add)
    visitor.delete()
    return moved


def pick_tab(tabs: Sequence[Tab], key: int | None) -> Tab:
    """Returns the tab with this key, or the first tab if the key is None. Raises NoSuchList."""
    if key is None:
        return tabs[0]
    for tab in tabs:
        if tab.key == key:
            return tab
    raise NoSuchList("This list no longer exists. It was deleted in another tab or on another device.")
