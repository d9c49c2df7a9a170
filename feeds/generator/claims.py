"""Decides which symbols the generator may feed.

The process claims a symbol first. Then the symbol gets a Grant: the right to feed it. The generator ends the grant when
the ticker is gone. The symbol is released when each of its updates is acknowledged or has failed.
"""

import threading
from collections.abc import Callable, Collection, Mapping

import structlog

from feeds.store.ownership import Ownership
from feeds.wire import Update

log = structlog.get_logger(__name__)

MAX_LOGGED_SYMBOLS = 20


class Grant:
    """The right to feed one symbol until `end` is called.

    `last` is the symbol's last update in the topic; None if there is no such update. `is_finished()` returns whether
    each update that was sent is acknowledged or has failed. Before `end` is called, `is_finished` is None.
    """

    __slots__ = ("is_finished", "last")

    def __init__(self, last: Update | None) -> None:
        self.last = last
        self.is_finished: Callable[[], bool] | None = None

    @property
    def ended(self) -> bool:
        return self.is_finished is not None

    def end(self, is_finished: Callable[[], bool]) -> None:
        """Ends the grant. Call this method after the last update of the symbol."""
        self.is_finished = is_finished


class Claims:
    """The symbols that this process owns, and their grants.

    `grants` is a dict from symbol to grant. Each change replaces the dict by a new one. Any thread may call `renew` and
    read `grants`.
    """

    def __init__(
        self, ownership: Ownership, read_last_updates: Callable[[Collection[str]], Mapping[str, Update]]
    ) -> None:
        self._ownership = ownership
        self._read_last_updates = read_last_updates
        self._lock = threading.Lock()
        self._owned: set[str] = set()
        self._closed = False
        self._refused: set[str] = set()
        self.grants: Mapping[str, Grant] = {}

    def take(self, wanted: Collection[str]) -> None:
        """Claims the wanted symbols that this process does not own yet.

        Also releases symbols whose tickers are gone, once no update of them is on its way. Raises StoreUnavailable.
        """
        with self._lock:
            if self._closed:
                return
            self._release(self._owned - self.grants.keys() - set(wanted))
            self._release_ended()
            missing = set(wanted) - self._owned
            if missing:
                taken = self._ownership.claim(missing)
                self._owned |= taken
                self._log_refused(missing - taken)

    def resume(self) -> bool:
        """Gives a grant to each owned symbol that has none. First reads the symbol's last update in the topic.

        Returns False if all owned symbols have a grant already. Raises BrokerUnavailable.
        """
        with self._lock:
            new = self._owned - self.grants.keys()
        if not new:
            return False
        last_updates = self._read_last_updates(new)
        with self._lock:
            # Meanwhile, another process may have taken over some symbols.
            granted = {symbol: Grant(last_updates.get(symbol)) for symbol in new & self._owned}
            self.grants = {**self.grants, **granted}
        return True

    def renew(self) -> None:
        """Renews the claims to all owned symbols, and forgets symbols that another process has taken over.

        Call this method once a second, and before the first update after a pause of the process. Raises
        StoreUnavailable.
        """
        with self._lock:
            if self._closed:
                return
            self._release_ended()
            lost = self._owned - self._ownership.renew(self._owned)
            if lost:
                log.warning("symbols lost to another process", **_describe(lost))
                self._forget(lost)

    def close(self) -> None:
        """Releases all symbols. Call this method after the producer is closed. Raises StoreUnavailable."""
        with self._lock:
            self._closed = True
            self._release(set(self._owned))

    def _release_ended(self) -> None:
        grants = self.grants.items()
        self._release({symbol for symbol, grant in grants if grant.is_finished is not None and grant.is_finished()})

    def _release(self, symbols: set[str]) -> None:
        if symbols:
            self._ownership.release(symbols)
            self._forget(symbols)

    def _forget(self, symbols: set[str]) -> None:
        self._owned -= symbols
        self.grants = {symbol: grant for symbol, grant in self.grants.items() if symbol not in symbols}

    def _log_refused(self, refused: set[str]) -> None:
        """Logs symbols that another process owns. Symbols of the previous call are not logged again."""
        if new := refused - self._refused:
            log.info("waiting for symbols that another process publishes", **_describe(new))
        self._refused = refused


def _describe(symbols: set[str]) -> dict[str, object]:
    return {"count": len(symbols), "symbols": sorted(symbols)[:MAX_LOGGED_SYMBOLS]}
