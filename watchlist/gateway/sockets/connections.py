"""Holds, limits and closes the open connections of a gateway process.

The limits GATEWAY_MAX_CONNECTIONS and GATEWAY_MAX_PER_ADDRESS apply to the sum over all processes of a gateway.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from watchlist.gateway import protocol
from watchlist.gateway.closing.accept_rate import AcceptRate, Reading
from watchlist.gateway.closing.drain import drain_seconds, spread
from watchlist.gateway.closing.lateness import Lateness
from watchlist.gateway.closing.rotation import choose_lifetime, most_closes
from watchlist.gateway.connection_options import NO_OPTIONS, ConnectionOptions
from watchlist.gateway.fanout.outbox import Outbox
from watchlist.gateway.messages import StateMessage, make_state
from watchlist.gateway.protocol import CloseCode
from watchlist.gateway.sockets.address_counts import AddressCounts
from watchlist.gateway.sockets.session import Session
from watchlist.gateway.sockets.session_context import SessionContext
from watchlist.gateway.sockets.tokens.authentication import Authentication
from watchlist.gateway.sockets.tokens.verifier import VerifiedToken
from watchlist.gateway.web_sessions import AccountSession

SWEEP_SECONDS = 1.0
"""The time between two calls of `Connections.sweep`."""
RETRY_SPREAD_MS = 1000
"""`Connections.choose_retry_ms` returns less than this number of milliseconds."""
UNAUTHENTICATED = "unauthenticated"
"""The name under which `AddressCounts` counts the sockets that must send a token."""
UNAUTHENTICATED_PER_LIMIT = 10
"""At most `max_connections` / UNAUTHENTICATED_PER_LIMIT sockets may be sockets that must send a token."""


class Connections:
    """The open connections of this process. The keys of the dict `sessions` are the sessions of accepted sockets.

    `closing` is True after a call of `drain`.
    """

    def __init__(self, context: SessionContext, rng: random.Random | None = None) -> None:
        """`rng` chooses the random moments at which sockets are closed."""
        self.context = context
        self.accept_rate = AcceptRate()
        self.sessions: dict[Session, None] = {}
        self.closing = False
        self.kicks = context.kicks
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, protects nothing
        self._rotated_at = context.clock.now()
        self._lateness = Lateness(SWEEP_SECONDS, context.limits.pong_wait)
        self._pending = 0
        self._per_address = AddressCounts()
        self._unauthenticated: set[Session] = set()
        self._database_available = True
        self._source_messages: Mapping[str, StateMessage] = {}
        self._note_connections: Callable[[int], int] = lambda _own: 0

    @property
    def total(self) -> int:
        """Returns the number of accepted connections of this process, plus all connections of the other processes."""
        return len(self.sessions) + self._share_count()

    @property
    def pending_count(self) -> int:
        """Returns how many connections of this process are pending: neither accepted nor refused yet."""
        return self._pending

    def is_full(self, *, pending: bool) -> bool:
        """Returns whether one more connection would exceed `max_connections` or `max_per_process`.

        `pending` is True if this connection is already counted as pending.
        """
        limit = self.context.limits.max_connections
        is_over = limit > 0 and self._own_count + (not pending) + self._share_count() > limit
        return is_over or self.is_process_full(pending=pending)

    def is_process_full(self, *, pending: bool) -> bool:
        """Returns whether one more connection would exceed `max_per_process`. `is_full` describes `pending`."""
        return 0 < self.context.limits.max_per_process < self._own_count + (not pending)

    def is_address_full(self, address: str) -> bool:
        """Returns whether the sockets of the address in all processes have reached `max_per_address`."""
        limit = self.context.limits.max_per_address
        return 0 < limit <= self._per_address.count(address)

    def is_unauthenticated_full(self) -> bool:
        """Returns whether the limit for sockets that must send a token is reached, over all processes."""
        limit = self.context.limits.max_connections
        return 0 < limit <= UNAUTHENTICATED_PER_LIMIT * self._per_address.count(UNAUTHENTICATED)

    def share(self, note_connections: Callable[[int], int], note_address: Callable[[str, int], int]) -> None:
        """Makes the limits apply to the connections of all processes together.

        `note_connections` is called with the number of connections of this process. `note_connections` stores this
        number, and returns how many connections the other processes have. `AddressCounts.share` describes
        `note_address`.
        """
        self._note_connections = note_connections
        self._per_address.share(note_address)

    @contextmanager
    def pending(self) -> Iterator[None]:
        """Counts a connection as pending during a `with` block."""
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
        token: VerifiedToken | None = None,
    ) -> Session:
        """Adds an accepted socket and returns its session.

        `unverified_key` is the key of a web session that could not be looked up yet. `token` is the personal token with
        which the client connected.
        """
        session = Session(self.context, outbox, self.context.clock.now(), options)
        if options.meta:
            outbox.send(self.current_states())
        self.add(session, account_session, unverified_key, address, token)
        return session

    def open_unauthenticated(self, outbox: Outbox, options: ConnectionOptions, address: str) -> Session:
        """Adds a socket of a private gateway. The socket gets no updates before its client has sent a valid token."""
        session = self.open(outbox, NO_OPTIONS, address=address)
        self._unauthenticated.add(session)
        self._per_address.add(UNAUTHENTICATED)

        def begin() -> None:
            self._end_unauthenticated(session)
            session.options = options
            if options.meta:
                outbox.send(self.current_states())

        assert self.context.tokens is not None  # noqa: S101 - a private gateway verifies tokens
        session.authentication = Authentication(session, self.context.tokens, begin)
        return session

    def add(
        self,
        session: Session,
        account_session: AccountSession | None,
        unverified_key: str | None,
        address: str,
        token: VerifiedToken | None = None,
    ) -> None:
        """Adds the new session of an accepted connection. `open` describes the other arguments."""
        if token is not None:
            session.token, session.token_owner = token.key, token.owner
        session.rotates_at = session.opened_at + choose_lifetime(self.context.limits.max_age, self._rng)
        session.account_session, session.unverified_key = account_session, unverified_key
        self.sessions[session] = None
        session.address = address
        self._per_address.add(address)
        self.context.counts.accepted += 1

    def end(self, session: Session) -> None:
        """Removes a socket whose connection has ended."""
        if session.authentication is not None:
            session.authentication.stop()
        self._end_unauthenticated(session)
        self.context.hub.remove(session.outbox)
        self.sessions.pop(session, None)
        self._per_address.remove(session.address)
        self._share_count()

    def _end_unauthenticated(self, session: Session) -> None:
        if session in self._unauthenticated:
            self._unauthenticated.remove(session)
            self._per_address.remove(UNAUTHENTICATED)

    def sweep(self) -> None:
        """Closes sockets after their time-out or lifetime, and sends the pings and heartbeats that are due.

        Call this method every SWEEP_SECONDS. If a call is late, the time-outs are longer by the delay.
        """
        clock = self.context.clock
        now = clock.now()
        accepted = self.context.counts.accepted
        self.accept_rate.note(Reading(now, clock.cpu_seconds(), clock.cpu_wait_seconds(), accepted))
        self._lateness.note(now)
        for session in list(self.sessions):
            session.sweep(now, self._lateness.seconds)
        if self.context.limits.max_age and not self.closing:
            self._rotate(now)
        self._share_count()

    def _rotate(self, now: float) -> None:
        """Closes the sockets whose lifetime is over, the oldest socket first.

        `accept_rate` limits how many sockets one call closes.
        """
        most = most_closes(self.accept_rate.per_second, now - self._rotated_at)
        self._rotated_at = now
        due = [session for session in self.sessions if session.rotates_at <= now and not session.closing_since]
        # A client that does not read now could not receive the close frame. Its socket is closed later.
        for session in [session for session in due if session.outbox.open][:most]:
            self.context.counts.rotated += 1
            self._request_reconnect(session)

    def announce_database(self, available: bool) -> None:
        """Tells the open sockets with `?meta=1` whether the database is available."""
        self._database_available = available
        message = make_service_message(available=available)
        for session in list(self.sessions):
            if session.options.meta:
                session.outbox.send([message])

    def announce_sources(self, messages: Mapping[str, StateMessage]) -> None:
        """Tells the open sockets with `?meta=1` about the sources whose messages have changed.

        `messages` maps each source to the `feed` message about the source.
        """
        changed = [message for source, message in messages.items() if self._source_messages.get(source) != message]
        self._source_messages = messages
        for session in list(self.sessions) if changed else ():
            if session.options.meta:
                session.outbox.send(changed)

    def drain(self, least: float = 0.0, longest: float = 0.0) -> float:
        """Refuses new connections, and closes the open sockets with code 4001 in random order.

        Returns how many seconds the closing takes, from `least` to `longest`. If the result is 0, all sockets are
        closed already.
        """
        self.closing = True
        seconds = drain_seconds(len(self.sessions), self.accept_rate.per_second, least, longest)
        for delay, session in spread(list(self.sessions), seconds, self._rng):
            if delay:
                asyncio.get_running_loop().call_later(delay, self._request_reconnect, session)
            else:
                self._request_reconnect(session)
        return seconds

    def choose_retry_ms(self) -> int:
        """Returns a random number of milliseconds. Clients wait this long so that they do not all connect at once."""
        return self._rng.randrange(RETRY_SPREAD_MS)

    def current_states(self) -> list[StateMessage]:
        """Returns the messages about the sources, for a new connection with `?meta=1`.

        While the database is unavailable, a message about the database comes first.
        """
        service = [] if self._database_available else [make_service_message(available=False)]
        return [*service, *self._source_messages.values()]

    def _request_reconnect(self, session: Session) -> None:
        if session in self.sessions:  # the client may have left in the meantime
            session.send_reconnect_notice(self.choose_retry_ms())
            session.close(CloseCode.SHUTDOWN, self.context.clock.now())

    @property
    def _own_count(self) -> int:
        return len(self.sessions) + self._pending

    def _share_count(self) -> int:
        """Stores the number of connections of this process, and returns how many the other processes have."""
        return self._note_connections(self._own_count)


def make_service_message(*, available: bool) -> StateMessage:
    return make_state("service", protocol.service(lists=available))
