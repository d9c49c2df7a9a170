"""Verifies personal tokens. Limits the wrong tokens of each address and the connections of each token.

Each look-up of a token is a database query. `DatabaseMonitor.run` limits the number and the duration of the queries.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog
from asgiref.sync import sync_to_async
from django.db import close_old_connections, connection
from django.utils import timezone

from watchlist.accounts.tokens import PREFIX, READ, find_token, note_use, read_bearer
from watchlist.gateway.database import DatabaseMonitor
from watchlist.gateway.protocol import CloseCode
from watchlist.gateway.sockets.connection_rate import ConnectionRate
from watchlist.gateway.sockets.refusal import Refusal
from watchlist.models import ApiToken

WRONG_TOKEN = Refusal("token", 401, CloseCode.TOKEN)
NO_SCOPE = Refusal("scope", 403, CloseCode.TOKEN)
NO_DATABASE = Refusal("database", 503, CloseCode.FULL, 5)
"""The refusal if a token cannot be looked up. In a private gateway, also if a web session cannot be looked up."""
MAX_VERIFICATIONS = 16
"""How many tokens of one address are verified at the same time.

A wrong token counts only after its look-up. Without this limit, an address could make the gateway look up any number of
tokens at once.
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """A valid personal token: its id in the database, and the id of its account."""

    key: int
    owner: int


class TokenVerifier:
    """Verifies tokens. `start` starts the gateway and returns the rate limit of connections."""

    def __init__(self, database: DatabaseMonitor, start: Callable[[], Awaitable[ConnectionRate]]) -> None:
        self._database = database
        self._start = start
        self._notes: set[asyncio.Task[None]] = set()
        self._running: Counter[str] = Counter()  # the verifications that have not ended, by address

    async def verify(self, token: str, address: str) -> VerifiedToken | Refusal:
        """Returns a valid token with the scope `read`, or the reason why the client is refused.

        `address` is the address of the client. Each address may send only so many wrong tokens. Each token may open
        only so many connections.
        """
        rate = await self._start()
        if self._running[address] >= MAX_VERIFICATIONS:
            return make_token_rate_refusal(1)
        self._running[address] += 1
        try:
            return await self._verify(token, address, rate)
        finally:
            self._running[address] -= 1
            if not self._running[address]:
                del self._running[address]

    async def _verify(self, token: str, address: str, rate: ConnectionRate) -> VerifiedToken | Refusal:
        attempts = f"wrong-token:{address}"
        if wait := await rate.seconds_to_wait(attempts, spend=False):
            return make_token_rate_refusal(wait)
        try:
            found = await self._find(token)
        except Exception as error:  # Database errors differ by engine.
            log.warning("token cannot be looked up, client refused", reason=type(error).__name__)
            return NO_DATABASE
        if found is None:
            await rate.seconds_to_wait(attempts)
            return WRONG_TOKEN
        if READ not in found.scope_names:
            return NO_SCOPE
        if wait := await rate.seconds_to_wait(f"token:{found.pk}"):
            return make_token_rate_refusal(wait)
        self._note_use(found)
        return VerifiedToken(found.pk, found.owner_id)

    async def _find(self, token: str) -> ApiToken | None:
        if not self._database.available:
            raise OSError("the database is unavailable")
        return await self._database.run(lambda: look_up(token))

    def _note_use(self, token: ApiToken) -> None:
        task = asyncio.ensure_future(asyncio.to_thread(store_use, token))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)


def read_token(headers: Mapping[str, str]) -> str | None:
    """Returns the personal token in the header Authorization, or None if there is none.

    Ignores a token without PREFIX, because a proxy that signs people in may add its own token.
    """
    token = read_bearer(headers.get("authorization", ""))
    return token if token is not None and token.startswith(PREFIX) else None


def make_token_rate_refusal(wait: int) -> Refusal:
    """Returns the refusal of a client with too many wrong tokens or connections. `wait` is in seconds."""
    return Refusal("token rate", 429, CloseCode.CROWDED, wait)


@sync_to_async
def look_up(token: str) -> ApiToken | None:
    """Returns the row of a valid token. Raises django.db.DatabaseError."""
    close_old_connections()
    return find_token(token)


def store_use(token: ApiToken) -> None:
    """Stores the time of the last use.

    Runs in a thread of its own: a write that waits for a lock must not delay the reading of tickers.
    """
    try:
        note_use(token, timezone.now())
    finally:
        connection.close()
