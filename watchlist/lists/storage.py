"""Where a person's lists are kept: an account's in the database, a visitor's in the session.

Both are written at the first change only, so that a mere visit leaves nothing behind. Until then both show one list of
the first active tickers. The rules of changing lists stand in `book`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.db.models import Count, F

from feeds.models import Ticker
from watchlist.errors import NoSuchList
from watchlist.lists.rules import UNSAVED, NamedList, UserLists
from watchlist.lists.search import served_tickers
from watchlist.models import Entry, Watchlist

LIST_NAME = "Main"
FIRST_SYMBOLS = 12
SESSION_KEY = "lists"

Step = Callable[[UserLists], UserLists]


@dataclass(frozen=True, slots=True)
class Tab:
    """A list as the tabs show it."""

    key: int
    name: str
    count: int
    version: int = 0


class ListStore(Protocol):
    """The lists of one person, wherever they are kept."""

    @property
    def stored(self) -> bool:
        """Whether the person changed anything yet."""

    def tabs(self) -> list[Tab]:
        """At least one; writes nothing."""

    def tickers(self, key: int) -> list[Ticker]:
        """Of one list, in the person's order; writes nothing. Raises NoSuchList."""

    def book(self) -> UserLists:
        """Everything; writes nothing."""

    def change(self, step: Step) -> UserLists:
        """Applies a step and keeps its result, or raises what the step raises and keeps nothing."""


def lists_of(user: User | AnonymousUser, session: SessionBase) -> ListStore:
    return AccountLists(user) if isinstance(user, User) else VisitorLists(session)


def example_tickers() -> list[Ticker]:
    return list(served_tickers()[:FIRST_SYMBOLS])


def example_lists() -> UserLists:
    """What everyone starts with: an example to change."""
    return UserLists((NamedList(UNSAVED, LIST_NAME, tuple(ticker.symbol for ticker in example_tickers())),))


class AccountLists:
    """The lists of an account. Changes of one account wait for each other: the account's row is locked."""

    def __init__(self, user: User) -> None:
        self._user = user

    @property
    def stored(self) -> bool:
        return Watchlist.objects.filter(owner=self._user).exists()

    def tabs(self) -> list[Tab]:
        # Django drops a model's own order where it groups.
        lists = Watchlist.objects.filter(owner=self._user).annotate(counted=Count("entries")).order_by("position", "id")
        tabs = [Tab(row.pk, row.name, row.counted, row.version) for row in lists]
        return tabs or [Tab(UNSAVED, LIST_NAME, len(example_tickers()))]

    def tickers(self, key: int) -> list[Ticker]:
        if key == UNSAVED:
            return example_tickers()
        entries = Entry.objects.filter(watchlist=key, watchlist__owner=self._user).select_related("ticker")
        return [entry.ticker for entry in entries]

    def book(self) -> UserLists:
        stored = Watchlist.objects.filter(owner=self._user)
        if not stored:
            return example_lists()
        symbols: dict[int, list[str]] = {row.pk: [] for row in stored}
        pairs = Entry.objects.filter(watchlist__in=symbols).values_list("watchlist_id", "ticker__symbol")
        for key, symbol in pairs.order_by("position", "id"):
            symbols[key].append(symbol)
        return UserLists(tuple(NamedList(row.pk, row.name, tuple(symbols[row.pk])) for row in stored))

    @transaction.atomic
    def change(self, step: Step) -> UserLists:
        User.objects.select_for_update().get(pk=self._user.pk)
        before = self.book()
        after = step(before)
        return self._write(before, after)

    def _write(self, before: UserLists, after: UserLists) -> UserLists:
        kept = {named.key for named in after.lists}
        gone = [named.key for named in before.lists if named.key not in kept]
        Watchlist.objects.filter(owner=self._user, pk__in=gone).delete()
        old = {named.key: (place, named) for place, named in enumerate(before.lists)}
        written = []
        for place, named in enumerate(after.lists):
            if named.key == UNSAVED:
                written.append(self._make(place, named))
                continue
            if old[named.key] != (place, named):
                self._update(place, named, old[named.key][1])
            written.append(named)
        return UserLists(tuple(written))

    def _make(self, place: int, named: NamedList) -> NamedList:
        made = Watchlist.objects.create(owner=self._user, name=named.name, position=place)
        _fill(made.pk, named.symbols)
        return replace(named, key=made.pk)

    def _update(self, place: int, named: NamedList, old: NamedList) -> None:
        Watchlist.objects.filter(pk=named.key).update(name=named.name, position=place, version=F("version") + 1)
        if named.symbols != old.symbols:
            Entry.objects.filter(watchlist=named.key).delete()
            _fill(named.key, named.symbols)


class VisitorLists:
    """The lists of a visitor."""

    def __init__(self, session: SessionBase) -> None:
        self._session = session

    @property
    def stored(self) -> bool:
        return SESSION_KEY in self._session

    def tabs(self) -> list[Tab]:
        return [Tab(named.key, named.name, len(named.symbols)) for named in self.book().lists]

    def tickers(self, key: int) -> list[Ticker]:
        symbols = self.book().find(key).symbols
        known = {ticker.symbol: ticker for ticker in Ticker.objects.filter(symbol__in=symbols)}
        return [known[symbol] for symbol in symbols if symbol in known]

    def book(self) -> UserLists:
        kept: list[dict[str, Any]] | None = self._session.get(SESSION_KEY)
        if not kept:
            return example_lists()
        return UserLists(tuple(NamedList(one["key"], one["name"], tuple(one["symbols"])) for one in kept))

    def change(self, step: Step) -> UserLists:
        after = step(self.book())
        free = max(named.key for named in after.lists) + 1
        numbered = []
        for named in after.lists:
            if named.key == UNSAVED:
                named = replace(named, key=free)
                free += 1
            numbered.append(named)
        self._session[SESSION_KEY] = [
            {"key": named.key, "name": named.name, "symbols": list(named.symbols)} for named in numbered
        ]
        return UserLists(tuple(numbered))

    def forget(self) -> None:
        self._session.pop(SESSION_KEY, None)


def adopt_lists(user: User, session: SessionBase) -> None:
    """Moves a visitor's lists into the account that he opened or came back to; an account's own lists win."""
    visitor, account = VisitorLists(session), AccountLists(user)
    if not visitor.stored:
        return
    if not account.stored:
        brought = visitor.book()
        account.change(lambda _book: UserLists(tuple(replace(named, key=UNSAVED) for named in brought.lists)))
    visitor.forget()


def pick_tab(tabs: Sequence[Tab], key: int | None) -> Tab:
    """The list that is asked for, or the first one. Raises NoSuchList."""
    if key is None:
        return tabs[0]
    for tab in tabs:
        if tab.key == key:
            return tab
    raise NoSuchList("This list is gone: it was deleted in another tab or on another device.")


def _fill(key: int, symbols: Sequence[str]) -> None:
    pks = dict(Ticker.objects.filter(symbol__in=symbols).values_list("symbol", "pk"))
    Entry.objects.bulk_create(
        Entry(watchlist_id=key, ticker_id=pks[symbol], position=place)
        for place, symbol in enumerate(symbols)
        if symbol in pks
    )
