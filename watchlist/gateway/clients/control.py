"""Lists and closes the connections of this gateway process for an operator.

Each gateway process reads the requests of operators from Redis once per second. A refusal is the request to close the
connections of a client, and to refuse new ones for a time. If Redis does not answer, known refusals stay valid until
they expire.
"""

import asyncio
import heapq
import os
import secrets
import socket
from typing import Any

import structlog
from redis.exceptions import RedisError

from feeds.store.connection import repeat_reading
from watchlist.gateway.clients.control_keys import ANSWER_SCRIPT, TURN_SCRIPT, control_keys, reply_key
from watchlist.gateway.clients.listing import (
    MAX_CLIENTS,
    MAX_SYMBOLS,
    ClientEntry,
    ProcessReply,
    encode_reply,
    is_request,
)
from watchlist.gateway.protocol import CloseCode
from watchlist.gateway.sockets.connections import Connections
from watchlist.gateway.sockets.session import Session

log = structlog.get_logger(__name__)

TURN_SECONDS = 1.0
FIRST_TURN_SECONDS = 0.5
"""The longest time that the first connection of a process waits until the refusals are read."""


BATCH = 100
"""How many connections are described before the event loop runs again. Descriptions cost CPU time."""


class ClientControl:
    """Carries out the requests of operators for `connections`, the connections of this process."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._name = f"{socket.gethostname()[:64]}:{os.getpid()}:{secrets.token_hex(4)}"
        self._answered: bytes = b""

    async def begin(self, redis: Any) -> None:
        """Reads the refusals before the first connection is accepted. Gives up after FIRST_TURN_SECONDS."""
        try:
            async with asyncio.timeout(FIRST_TURN_SECONDS):
                await self.take_turn(redis)
        except (RedisError, OSError, ValueError) as error:
            log.debug("requests of operators cannot be read", reason=type(error).__name__)

    async def follow(self, redis: Any) -> None:
        """Calls `take_turn` each second, until this task is cancelled. `redis` is an asyncio client."""
        await asyncio.sleep(TURN_SECONDS)
        await repeat_reading(lambda: self.take_turn(redis), TURN_SECONDS, "requests of operators")

    async def take_turn(self, redis: Any) -> None:
        """Reads the requests once: closes the connections of refused clients, and answers a request for a list.

        Raises RedisError or OSError.
        """
        script = redis.register_script(TURN_SCRIPT)
        now, request, refused = await script(keys=control_keys(redis), args=[self._name])
        ends = zip(refused[::2], refused[1::2], strict=False)
        left = {subject.decode(errors="replace"): (float(end) - now) / 1000 for subject, end in ends}
        self._connections.kicks.replace(left, self._connections.context.clock.now())
        if left:
            self._close_refused()
        if is_request(request) and request != self._answered:
            answer = redis.register_script(ANSWER_SCRIPT)
            key = reply_key(redis, request.decode())
            await answer(keys=[key], args=[self._name, encode_reply(await self.describe())])
            self._answered = request

    def _close_refused(self) -> None:
        now = self._connections.context.clock.now()
        closed = 0
        for session in list(self._connections.sessions):
            if not session.closing_since and self._is_refused(session, now):
                session.close(CloseCode.KICKED, now)
                closed += 1
        if closed:
            log.info("connections closed by the operator", connections=closed)

    def _is_refused(self, session: Session, now: float) -> bool:
        account = session.account_session.account if session.account_session else session.token_owner
        return self._connections.kicks.seconds_left(now, session.address, account, session.token) > 0

    async def describe(self) -> ProcessReply:
        """Returns the answer of this process to a request for a list. The event loop runs in between."""
        now = self._connections.context.clock.now()
        sessions = [session for session in self._connections.sessions if not session.closing_since]
        described = sessions[:MAX_CLIENTS]
        entries: list[ClientEntry] = []
        for first in range(0, len(described), BATCH):
            entries += [describe_session(session, now) for session in described[first : first + BATCH]]
            await asyncio.sleep(0)
        return ProcessReply(len(sessions), entries)


def describe_session(session: Session, now: float) -> ClientEntry:
    """Returns the description of a connection. `now` is in monotonic seconds."""
    outbox = session.outbox
    return ClientEntry(
        address=session.address,
        kind="ws" if type(session) is Session else "stream",
        account=session.account_session.account if session.account_session else None,
        token=session.token,
        symbols=heapq.nsmallest(MAX_SYMBOLS, outbox.symbols),
        symbol_count=len(outbox.symbols),
        age=int(now - session.opened_at),
        backlog=len(outbox),
        conflated=outbox.conflated,
    )
