"""Authenticates one socket by a personal token in a frame, for clients that cannot set headers.

While the token is verified, the requests of the client wait, so that replies keep their order.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from watchlist.gateway import protocol
from watchlist.gateway.protocol import BadRequest, CloseCode, ErrorCode, Request
from watchlist.gateway.sockets.refusal import Refusal, find_kick
from watchlist.gateway.sockets.session_context import SessionContext
from watchlist.gateway.sockets.tokens.verifier import TokenVerifier, VerifiedToken

MAX_WAITING = 32
"""How many requests may wait for the verification."""
ERRORS = {
    "token": (ErrorCode.UNAUTHENTICATED, "The token is not valid"),
    "scope": (ErrorCode.FORBIDDEN, "The token has no scope read"),
    "token rate": (
        ErrorCode.RATE_LIMITED,
        "Too many wrong tokens from this address, or too many connections with this token",
    ),
    "refused by operator": (ErrorCode.RATE_LIMITED, "The operator of this site refuses this client for a time"),
    "database": (ErrorCode.UNAVAILABLE, "The database does not answer, so the token cannot be verified"),
}
"""Maps the reason of a refused token to the code and the message of the `error` frame."""
SEND_TOKEN = "This site is private: send the action auth with a token first"  # noqa: S105 - a sentence


class Socket(Protocol):
    """The part of a session that the authentication needs. `Session` describes the attributes and methods."""

    address: str
    closing_since: float
    context: SessionContext
    has_requested: bool
    token: int | None
    token_owner: int | None

    def carry_out(self, text: str, allowed: bool, now: float) -> None: ...

    def close(self, code: CloseCode, now: float) -> None: ...

    def reply(self, payload: bytes, now: float) -> None: ...


class Authentication:
    """The state of the authentication of one socket.

    If `on_accepted` is not None, the socket must send a token first. Until a token is accepted, the socket carries out
    no request. Then `on_accepted` is called.
    """

    __slots__ = ("_on_accepted", "_required", "_session", "_task", "_verifier", "_waiting")

    def __init__(self, session: Socket, verifier: TokenVerifier, on_accepted: Callable[[], None] | None = None) -> None:
        self._session: Socket | None = session
        self._verifier = verifier
        self._required = on_accepted is not None
        self._on_accepted = on_accepted
        self._task: asyncio.Task[None] | None = None
        self._waiting: list[tuple[str, bool]] = []

    def admits(self, text: str, allowed: bool, now: float) -> bool:
        """Returns whether the session may carry out the request in `text` now.

        A request that comes during the verification is carried out later. `allowed` says whether the request is within
        the limit of messages.
        """
        if self._task is not None:
            self._wait(text, allowed, now)
            return False
        if not self._required:
            return True
        self._receive_first(text, now)
        return False

    def begin(self, request: Request) -> None:
        """Starts to verify the token in a request with the action `auth`."""
        self._task = asyncio.ensure_future(self._verify(request))

    def stop(self) -> None:
        """Ends a running verification, because the connection has ended."""
        self._session = None
        if self._task is not None:
            self._task.cancel()

    def _wait(self, text: str, allowed: bool, now: float) -> None:
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append((text, allowed))
        elif self._session is not None:
            self._session.close(CloseCode.FLOOD, now)

    def _receive_first(self, text: str, now: float) -> None:
        """Starts to verify the token in an `auth` request. Refuses any other request, and closes the socket."""
        request_id = None
        try:
            request = protocol.parse_action(text)
            if request.action == "auth":
                self.begin(request)
                return
            request_id = request.id
        except BadRequest as error:
            request_id = error.id
        self._refuse(SEND_TOKEN, ErrorCode.UNAUTHENTICATED, CloseCode.TOKEN, request_id, now)

    async def _verify(self, request: Request) -> None:
        session = self._session
        if session is None:
            return
        result = await self._verifier.verify(request.token, session.address)
        self._task = None
        now = session.context.clock.now()
        if session.closing_since:
            return
        if isinstance(result, VerifiedToken):
            result = find_kick(session.context.kicks, now, session.address, result.owner, result.key) or result
        if isinstance(result, Refusal):
            self._refuse_token(result, request.id, now)
        else:
            self._accept(session, result, request.id, now)

    def _accept(self, session: Socket, token: VerifiedToken, request_id: str | None, now: float) -> None:
        session.token, session.token_owner = token.key, token.owner
        session.has_requested = True
        self._required = False
        session.reply(protocol.ack("Authenticated", [], request_id), now)
        if self._on_accepted is not None:
            self._on_accepted()
        waiting, self._waiting = self._waiting, []
        for text, allowed in waiting:
            if not session.closing_since:
                session.carry_out(text, allowed, now)

    def _refuse_token(self, refusal: Refusal, request_id: str | None, now: float) -> None:
        more = {"retry_after_ms": refusal.retry_after * 1000} if refusal.retry_after else {}
        code, message = ERRORS[refusal.reason]
        self._refuse(message, code, refusal.code, request_id, now, **more)

    def _refuse(
        self, message: str, code: ErrorCode, close_code: CloseCode, request_id: str | None, now: float, **more: int
    ) -> None:
        session = self._session
        if session is not None:
            session.context.counts.refused["token"] += 1
            session.reply(protocol.error(message, code, request_id, **more), now)
            session.close(close_code, now)


def start_authentication(session: Socket, request: Request, now: float) -> Authentication | None:
    """Starts to verify the token in an `auth` request.

    Refuses the request and returns None if the connection has a token already.
    """
    verifier = session.context.tokens
    if verifier is None or session.token is not None:
        session.reply(protocol.error("The connection has a token already", ErrorCode.MALFORMED, request.id), now)
        return None
    authentication = Authentication(session, verifier)
    authentication.begin(request)
    return authentication
