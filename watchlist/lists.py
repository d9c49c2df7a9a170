"""The rules of a person's list: what it starts with, what may be added, how many, and where it is kept.

An account's list is in the database, a visitor's in the session; both are written at the first change only, so that a
mere visit leaves nothing behind. Until then both show the first active tickers.
"""

from collections.abc import Sequence
from typing import Protocol

from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.db.models import Max, QuerySet

from feeds.models import Ticker
from watchlist.errors import AlreadyListed, ListFull, NotListed, SwitchedOff, UnknownSymbol
from watchlist.models import Entry, Watchlist

LIST_NAME = "Main"
MOST_SYMBOLS = 200
FIRST_SYMBOLS = 12
SESSION_KEY = "symbols"


class PersonalList(Protocol):
    """One list of one person, wherever it is kept."""

    def tickers(self) -> list[Ticker]:
        """In the person's order; writes nothing."""

    def add(self, symbol: str) -> Ticker:
        """At the end. Raises UnknownSymbol, SwitchedOff, AlreadyListed or ListFull."""

    def remove(self, symbol: str) -> Ticker:
        """Raises NotListed."""


def list_of(user: User | AnonymousUser, session: SessionBase) -> PersonalList:
    return StoredList(user) if isinstance(user, User) else SessionList(session)


def first_tickers() -> list[Ticker]:
    return list(Ticker.objects.filter(active=True)[:FIRST_SYMBOLS])


def find_ticker(symbol: str) -> Ticker:
    """An active ticker. Raises UnknownSymbol or SwitchedOff."""
    ticker = Ticker.objects.filter(symbol=symbol).first()
    if ticker is None:
        raise UnknownSymbol(f"No ticker is called {symbol}. Check the spelling, or choose one that the field suggests.")
    if not ticker.active:
        raise SwitchedOff(f"{symbol} is switched off: it gets no prices now.")
    return ticker


def check_room(symbol: str, listed: Sequence[str]) -> None:
    """Raises AlreadyListed or ListFull."""
    if symbol in listed:
        raise AlreadyListed(f"{symbol} is in your list already.")
    if len(listed) >= MOST_SYMBOLS:
        raise ListFull(f"The list is full: it holds {MOST_SYMBOLS} symbols. Remove one to add {symbol}.")


class StoredList:
    """The list of an account. Changes of one account wait for each other: the list's row is locked."""

    def __init__(self, user: User) -> None:
        self._user = user

    def tickers(self) -> list[Ticker]:
        watchlist = self._stored().first()
        return first_tickers() if watchlist is None else _listed(watchlist)

    @transaction.atomic
    def add(self, symbol: str) -> Ticker:
        ticker = find_ticker(symbol)
        watchlist = self._opened()
        check_room(symbol, [listed.symbol for listed in _listed(watchlist)])
        last = watchlist.entries.aggregate(last=Max("position"))["last"]
        watchlist.entries.create(ticker=ticker, position=0 if last is None else last + 1)
        return ticker

    @transaction.atomic
    def remove(self, symbol: str) -> Ticker:
        entry = self._opened().entries.select_related("ticker").filter(ticker__symbol=symbol).first()
        if entry is None:
            raise NotListed(f"{symbol} is not in your list.")
        entry.delete()
        return entry.ticker

    def keep(self, tickers: Sequence[Ticker]) -> None:
        """Makes these the account's list, unless it has one."""
        with transaction.atomic():
            watchlist, made = Watchlist.objects.get_or_create(owner=self._user, name=LIST_NAME)
            if made:
                _fill(watchlist, tickers)

    def _stored(self) -> QuerySet[Watchlist]:
        return Watchlist.objects.filter(owner=self._user, name=LIST_NAME)

    def _opened(self) -> Watchlist:
        """The list for a change, made now if this is the first one."""
        self.keep(first_tickers())
        return self._stored().select_for_update().get()


class SessionList:
    """The list of a visitor."""

    def __init__(self, session: SessionBase) -> None:
        self._session = session

    @property
    def stored(self) -> bool:
        return SESSION_KEY in self._session

    def tickers(self) -> list[Ticker]:
        if not self.stored:
            return first_tickers()
        symbols: list[str] = self._session[SESSION_KEY]
        known = {ticker.symbol: ticker for ticker in Ticker.objects.filter(symbol__in=symbols)}
        return [known[symbol] for symbol in symbols if symbol in known]

    def add(self, symbol: str) -> Ticker:
        ticker = find_ticker(symbol)
        symbols = self._symbols()
        check_room(symbol, symbols)
        self._session[SESSION_KEY] = [*symbols, symbol]
        return ticker

    def remove(self, symbol: str) -> Ticker:
        tickers = {ticker.symbol: ticker for ticker in self.tickers()}
        if symbol not in tickers:
            raise NotListed(f"{symbol} is not in your list.")
        self._session[SESSION_KEY] = [listed for listed in tickers if listed != symbol]
        return tickers[symbol]

    def forget(self) -> None:
        self._session.pop(SESSION_KEY, None)

    def _symbols(self) -> list[str]:
        return [ticker.symbol for ticker in self.tickers()]


def adopt_list(user: User, session: SessionBase) -> None:
    """Moves a visitor's list into the account that he opened or came back to; an account's own list wins."""
    visitor = SessionList(session)
    if visitor.stored:
        StoredList(user).keep(visitor.tickers())
        visitor.forget()


def _listed(watchlist: Watchlist) -> list[Ticker]:
    return [entry.ticker for entry in watchlist.entries.select_related("ticker")]


def _fill(watchlist: Watchlist, tickers: Sequence[Ticker]) -> None:
    Entry.objects.bulk_create(
        Entry(watchlist=watchlist, ticker=ticker, position=position) for position, ticker in enumerate(tickers)
    )
