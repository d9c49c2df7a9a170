"""Ends the sockets and streams of a personal token when the token is revoked.

Reads the database once per second, with one query for all tokens together. A token also ends when its account is
deleted or deactivated.
"""

import asyncio
from collections.abc import Collection

import structlog
from asgiref.sync import sync_to_async
from django.db import close_old_connections

from watchlist.gateway.database import DatabaseMonitor
from watchlist.gateway.protocol import CloseCode
from watchlist.gateway.sockets.connections import Connections
from watchlist.models import ApiToken

READ_SECONDS = 1.0

log = structlog.get_logger(__name__)


class TokenRevocations:
    """Watches the tokens that the open sockets and streams use."""

    def __init__(self, database: DatabaseMonitor, connections: Connections) -> None:
        self._database = database
        self._connections = connections

    async def follow(self) -> None:
        """Reads the tokens every second, until this task is cancelled. Pauses while the database is unavailable."""
        while True:
            await asyncio.sleep(READ_SECONDS)
            if not self._database.available:
                continue
            try:
                await self._read_and_close()
            except Exception as error:  # Database errors differ by engine. The next reading finds what was revoked.
                log.debug("tokens cannot be read", reason=type(error).__name__)

    async def _read_and_close(self) -> None:
        read = {session.token for session in self._connections.sessions if session.token is not None}
        if read:
            self.close_revoked(read - await read_valid_tokens(read))

    def close_revoked(self, revoked: Collection[int]) -> None:
        """Closes each socket and stream that uses one of these tokens. `revoked` holds the ids of the tokens."""
        now = self._connections.context.clock.now()
        for session in list(self._connections.sessions):
            if session.token in revoked:
                session.close(CloseCode.TOKEN, now)


@sync_to_async
def read_valid_tokens(keys: Collection[int]) -> set[int]:
    """Returns which of the tokens with these ids are valid. Raises django.db.DatabaseError."""
    close_old_connections()
    valid = ApiToken.objects.filter(pk__in=list(keys), revoked=None, owner__is_active=True)
    return set(valid.values_list("pk", flat=True))
