"""Holds, limits and closes the open connections of a gateway process.

The limits GATEWAY_MAX_CONNECTIONS and GATEWAY_MAX_PER_ADDRESS apply to the sum over all processes of a gateway.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from watchlist.gateway import protocol
from watchlist.gateway.fanout.outbox import Outbox
from watchlist.gateway.messages import StateMessage, make_state
from watchlist.gateway.protocol import CloseCode, ConnectionOptions
from watchlist.gateway.sockets.address_counts import AddressCounts
from watchlist.gateway.sockets.session import Session
from watchlist.gateway.sockets.session_context import SessionContext
from watchlist.gateway.web_sessions import AccountSession


class Connections:
    """The open connections of this process. `sessions` is a dict whose keys are the sessions of accepted sockets.

    `closing` is True from the start of the drain.
    """

    def __init__(self, context: SessionContext, rng: random.Random | None = None) -> None:
        """`rng` chooses the moments at which a drain closes the sockets."""
        self.context = context
        self.sessions: dict[Session, None] = {}
        self.closing = False
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, protects nothing
        self._pending = 0
        self._per_address = AddressCounts()
        self._database_available = True
        self._source_messages: Mapping[str, StateMessage] = {}
        self._note_connections: Callable[[int], int] = lambda _own: 0

    @property
    def total(self) -> int:
        """Returns the number of connections of all processes, without pending connections of this process."""
        return len(self.sessions) + self._share_count()

    @property
    def pending_count(self) -> int:
        """Returns the number of connections of this process that are neither accepted nor refused."""
        return self._pending

    def is_full(self, *, pending: bool) -> bool:
        """Returns whether one more connection would exceed the limit.

        `pending` is True if the context manager `pending` already counts this connection.
        """
        limit = self.context.limits.max_connections
        return limit > 0 and self._own_count + (not pending) + self._share_count() > limit

    def is_address_full(self, address: str) -> bool:
        """Returns whether the address has as many open sockets as one address may have."""
        limit = self.context.limits.max_per_address
        return 0 < limit <= self._per_address.count(address)

    def share(self, note_connections: Callable[[int], int], note_address: Callable[[str, int], int]) -> None:
        """Makes this process one of several that serve a gateway together.

        `note_connections` is called with the number of connections of this process. The function stores this number for
        the other processes, and returns the number of connections of all other processes. `note_address` does the same
        for one address, see `AddressCounts.share`.
        """
        self._note_connections = note_connections
        self._per_address.share(note_address)

    @contextmanager
    def pending(self) -> Iterator[None]:
        """Counts a connection as pending while it is neither accepted nor refused."""
        self.add_pending()
        try:
            yield
        finally:
            self.remove_pending()

    def add_pending(self) -> None:
        """Counts a connection as pending until `remove_pending` is called."""
        self._pending += 1

    def remove_pending(self) -> None:
        self._pending -= 1

    def open(
        self,
        outbox: Outbox,
        options: ConnectionOptions,
        account_session: AccountSession | None = None,
        unverified_key: str | None = None,
        address: str = "",
    ) -> Session:
        """Adds an accepted socket and returns its session.

        `unverified_key` is the key of a web session that could not be looked up yet.
        """
        session = Session(self.context, outbox, self.context.clock.now(), options)
        session.account_session, session.unverified_key = account_session, unverified_key
        if options.meta:
            outbox.send(self._current_states())
        self.sessions[session] = None
        session.address = address
        self._per_address.add(address)
        self.context.counts.accepted += 1
        return session

    def end(self, session: Session) -> None:
        """Removes a socket whose connection has ended."""
        self.context.hub.remove(session.outbox)
        self.sessions.pop(session, None)
        self._per_address.remove(session.address)
        self._share_count()

    def sweep(self) -> None:
        """Handles time-outs, pings and heartbeats of all sessions. Call this method about once per second."""
        now = self.context.clock.now()
        for session in list(self.sessions):
            session.sweep(now)
        self._share_count()

    def announce_database(self, available: bool) -> None:
        """Tells the open sockets with `?meta=1` whether the database is available.

        If a socket opens during an outage, `open` tells this socket.
        """
        self._database_available = available
        message = make_service_message(available=available)
        for session in list(self.sessions):
            if session.options.meta:
                session.outbox.send([message])

    def announce_sources(self, messages: Mapping[str, StateMessage]) -> None:
        """Tells the open sockets with `?meta=1` about the sources whose messages have changed.

        `messages` is a dict from the source of served tickers to the `feed` message about this source. `open` sends the
        messages to each new socket.
        """
        changed = [message for source, message in messages.items() if self._source_messages.get(source) != message]
        self._source_messages = messages
        for session in list(self.sessions) if changed else ():
            if session.options.meta:
                session.outbox.send(changed)

    def drain(self, seconds: float = 0.0) -> None:
        """Refuses new connections. Closes each open socket with code 4001 at a random time within `seconds` seconds."""
        self.closing = True
        for session in list(self.sessions):
            delay = self._rng.uniform(0, seconds)
            session.send_reconnect_notice(int(delay * 1000) + self._rng.randrange(1000))
            if seconds:
                asyncio.get_running_loop().call_later(delay, self._close, session)
            else:
                self._close(session)

    def _current_states(self) -> list[StateMessage]:
        """Returns the messages for a new socket with `?meta=1`: about the database and about the sources."""
        service = [] if self._database_available else [make_service_message(available=False)]
        return [*service, *self._source_messages.values()]

    def _close(self, session: Session) -> None:
        session.close(CloseCode.SHUTDOWN, self.context.clock.now())

    @property
    def _own_count(self) -> int:
        return len(self.sessions) + self._pending

    def _share_count(self) -> int:
        """Tells the other processes how many connections this process has.

        Returns how many connections the other processes have.
        """
        return self._note_connections(self._own_count)


def make_service_message(*, available: bool) -> StateMessage:
    return make_state("service", protocol.service(lists=available))
