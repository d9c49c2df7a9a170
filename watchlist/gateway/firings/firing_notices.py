"""Sends `alert` frames to signed-in clients when an alert of their account has fired."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from watchlist.gateway.firings.alert_frames import RecentFiring, make_alert_message
from watchlist.gateway.firings.recent_firings import read_newest_id, read_recent
from watchlist.gateway.messages import StateMessage
from watchlist.gateway.sockets.connections import Connections
from watchlist.gateway.sockets.session import Session

MAX_FRAMES = 10
"""The most `alert` frames that a socket gets per reading. Readings are at least a second apart."""
MISSED_PERIOD = timedelta(hours=12)
"""A client that connects gets the firings of its account up to this age."""
OVERLAP_READINGS = 10
"""How many readings look at an id. A firing may become visible only after a firing with a larger id.

One reading could miss such a firing.
"""
OVERLAP_IDS = 1000
"""How many ids below the newest id the first readings look at.

A firing among these ids may become visible only after the first reading.
"""
MAX_NEW_ACCOUNTS = 100
"""One reading looks up missed firings for at most this many accounts. Other accounts wait for the next reading."""

Messages = Mapping[int, Sequence[StateMessage]]
"""The messages for the sockets of each account, by the id of the account."""


class FiringNotices:
    """Sends each signed-in socket with `?meta=1` the firings of its account.

    A new socket gets the firings of the last MISSED_PERIOD, any other socket the firings since the last reading. A
    client may get a firing more than once, and recognizes it by its id.
    """

    def __init__(self, connections: Connections, unix_micros: Callable[[], int]) -> None:
        self._connections = connections
        self._unix_micros = unix_micros
        self._current: set[Session] = set()  # the sockets that got their frames at the last reading
        self._newest_ids: deque[int] = deque(maxlen=OVERLAP_READINGS)
        self._known: Mapping[int, frozenset[int]] = {}  # the firings of the last reading, by account

    async def read_and_send(self) -> None:
        """Reads the database for all sockets together, and sends the frames. Raises django.db.DatabaseError."""
        following = self._find_following()
        current = {account for session, account in following.items() if session in self._current}
        behind = {account for session, account in following.items() if self._is_behind(session)}
        behind = set(sorted(behind)[:MAX_NEW_ACCOUNTS])
        if not following:
            self._current, self._known = set(), {}
            self._newest_ids.clear()
            return
        newest = await read_newest_id()
        after = self._newest_ids[0] if self._newest_ids else 0
        since = datetime.fromtimestamp(self._unix_micros() / 1e6, UTC) - MISSED_PERIOD
        fresh = await read_recent(current, after, since, MAX_FRAMES + 1) if current and newest > after else {}
        missed = await read_recent(behind, 0, since, MAX_FRAMES + 1) if behind else {}
        self._newest_ids.append(newest if self._newest_ids else max(0, newest - OVERLAP_IDS))
        self._send(
            {account: make_messages(self._without_known(account, fresh.get(account, ()))) for account in current},
            {account: make_messages(missed.get(account, ())) for account in behind},
        )
        self._known = {
            account: frozenset(firing.id for firing in [*fresh.get(account, ()), *missed.get(account, ())])
            for account in current | behind
        }

    def _find_following(self) -> dict[Session, int]:
        """Returns the sockets that follow an account, with the id of the account."""
        return {
            session: session.account_session.account
            for session in self._connections.sessions
            if session.account_session is not None and session.options.follows_account and not session.closing_since
        }

    def _is_behind(self, session: Session) -> bool:
        # A client that does not read gets no frames yet, and must take no place of another account.
        return session not in self._current and not session.outbox.has_waiting_state

    def _send(self, fresh: Messages, missed: Messages) -> None:
        """Sends `fresh` to the sockets that were served at the last reading, and `missed` to the other sockets."""
        done = set()
        for session, account in self._find_following().items():
            messages = (fresh if session in self._current else missed).get(account)
            # A client that does not read gets the missed firings later, so few frames wait for it.
            if messages is not None and not session.outbox.has_waiting_state:
                session.outbox.send(messages)
                done.add(session)
        self._current = done

    def _without_known(self, account: int, firings: Iterable[RecentFiring]) -> list[RecentFiring]:
        known = self._known.get(account, frozenset())
        return [firing for firing in firings if firing.id not in known]


def make_messages(firings: Sequence[RecentFiring]) -> list[StateMessage]:
    """Returns at most MAX_FRAMES messages, the oldest firing first. `firings` begins with the newest firing."""
    sent = firings[:MAX_FRAMES]
    has_more = len(firings) > MAX_FRAMES
    return [make_alert_message(firing, has_more=has_more and firing is sent[-1]) for firing in reversed(sent)]
