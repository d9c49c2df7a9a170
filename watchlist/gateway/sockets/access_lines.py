"""Gives each connection an id, and writes a log line when a connection ends or is refused."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from watchlist.accounts.client_address import client_address
from watchlist.accounts.request_ids import HEADER, choose_request_id
from watchlist.gateway.limits import Limits
from watchlist.gateway.sockets.asgi import ConnectionRequest
from watchlist.gateway.sockets.session import Session

log = structlog.get_logger(__name__)

SOCKET, STREAM = "/ws", "/stream"
"""The routes of connections."""
NO_CLOSE_CODE = 1006
"""The close code of a socket that has ended without a close frame, as browsers report it."""


def choose_connection_id(request: ConnectionRequest, limits: Limits) -> str:
    """Returns the id of a new connection: the X-Request-ID of a trusted proxy, otherwise a new id."""
    return choose_request_id(request.headers.get(HEADER), request.peer, limits.trusted_proxies)


class ConnectionAccess:
    """Facts about one accepted connection, for the log line that is written when the connection ends.

    `messages` is the number of received messages. `code` is the close code, None for a stream.
    """

    __slots__ = ("code", "connection_id", "messages")

    def __init__(self, connection_id: str, code: int | None = NO_CLOSE_CODE) -> None:
        self.connection_id = connection_id
        self.messages = 0
        self.code = code


@dataclass(slots=True)
class AccessLines:
    """Writes a log line for each connection that ends or is refused.

    `wants_line` is called with the name of the logger and the text of a line, and returns whether to write the line. By
    default, no lines are written.
    """

    wants_line: Callable[[str, str], bool] = lambda _logger, _event: False

    def note_end(self, route: str, session: Session, access: ConnectionAccess) -> None:
        """Writes a line about a connection that has ended."""
        if self.wants_line(__name__, "connection ended"):
            account = session.account_session.account if session.account_session else None
            log.info(
                "connection ended",
                route=route,
                connection_id=access.connection_id,
                seconds=round(session.context.clock.now() - session.opened_at, 1),
                messages=access.messages,
                code=access.code,
                address=session.address,
                account=account,
            )

    def note_refusal(
        self, route: str, request: ConnectionRequest, connection_id: str, limits: Limits, status: int, reason: str
    ) -> None:
        """Writes a line about a connection that was refused. `reason` must not contain text from the client."""
        if self.wants_line(__name__, "connection refused"):
            forwarded = request.headers.get("x-forwarded-for", "")
            log.info(
                "connection refused",
                route=route,
                connection_id=connection_id,
                status=status,
                reason=reason,
                address=client_address(request.peer, forwarded, limits.trusted_proxies),
            )


access_lines = AccessLines()
"""The object that writes the lines of this process."""
