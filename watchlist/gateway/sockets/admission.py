"""Decides whether to accept a WebSocket connection, and answers `GET /ws/status`.

A page in a browser cannot see why its connection was refused. The page therefore requests `/ws/status` afterwards. A
request to `/ws/status` takes no token of the rate limit.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec
import structlog

from watchlist.accounts.client_address import client_address
from watchlist.gateway import web_sessions
from watchlist.gateway.database import DatabaseMonitor
from watchlist.gateway.limits import Limits
from watchlist.gateway.protocol import BadRequest, CloseCode, ConnectionOptions, parse_query
from watchlist.gateway.sockets.asgi import Receive, Scope, Send
from watchlist.gateway.sockets.connection_rate import ConnectionRate
from watchlist.gateway.sockets.connections import Connections
from watchlist.gateway.sockets.origins import allows_origin, is_own_origin
from watchlist.gateway.sockets.refusal import Refusal
from watchlist.gateway.web_sessions import AccountSession, read_session_key

ANY_ORIGIN = (b"access-control-allow-origin", b"*")
NOT_SIGNED_IN = Refusal("sign in", 401, CloseCode.SIGN_IN)
NO_DATABASE = Refusal("database", 503, CloseCode.FULL, 5)
"""The refusal if a private gateway cannot look up the web session of the client."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A connection that passed all checks. `account_session` is None if no account is signed in."""

    options: ConnectionOptions
    address: str = ""
    account_session: AccountSession | None = None
    unverified_key: str | None = None
    """The key of a web session that could not be looked up yet. Until the look-up, the client counts as a visitor."""


class Admission:
    """Checks connections. `start` starts the gateway, and raises an error if the tickers cannot be read.

    A `private` gateway accepts only clients with the session cookie of a signed-in account.
    """

    def __init__(
        self,
        limits: Limits,
        connections: Connections,
        database: DatabaseMonitor,
        start: Callable[[], Awaitable[ConnectionRate]],
        private: bool = False,
    ) -> None:
        self._limits = limits
        self._connections = connections
        self._database = database
        self._start = start
        self._private = private

    async def check(self, scope: Scope, *, pending: bool = True) -> Admitted | Refusal:
        """Checks a connection. Returns Admitted, or the Refusal of the first check that fails.

        `pending` is True for a connection that waits to be accepted. Such a connection is already counted, and the
        check takes a token of the rate limit. `pending` is False for a request to `/ws/status`.
        """
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        headers, forwarded = dict(pairs), ",".join(value for name, value in pairs if name == "x-forwarded-for")
        origin = headers.get("origin")
        if not allows_origin(origin, self._limits.allowed_origins):
            return Refusal("origin", 403, CloseCode.BAD_REQUESTS)
        try:
            options = parse_query(scope.get("query_string", b""))
        except BadRequest:
            return Refusal("query", 400, CloseCode.BAD_REQUESTS)
        try:
            rate = await self._start()
        except Exception as error:  # Database errors differ by engine. Without tickers no symbol is valid.
            log.warning("connection refused, tickers cannot be read", reason=type(error).__name__)
            return Refusal("no tickers", 503, CloseCode.FULL, 5)
        key = self._read_key(headers, options)
        # A status request takes no token, so nothing would limit its queries. It therefore looks up no account.
        account_session, unverified_key = await self.find_account(key) if key and pending else (None, None)
        address = client_address(scope.get("client"), forwarded, self._limits.trusted_proxies)
        subject = f"account:{account_session.account}" if account_session else address
        if wait := await rate.seconds_to_wait(subject, spend=pending):
            return Refusal("address rate", 429, CloseCode.CROWDED, wait)
        if self._private and account_session is None and (pending or key is None):
            return NO_DATABASE if unverified_key else NOT_SIGNED_IN
        return self._find_no_room(address, pending) or Admitted(options, address, account_session, unverified_key)

    def _find_no_room(self, address: str, pending: bool) -> Refusal | None:
        """Returns the refusal of one more connection from the address. Returns None if there is room."""
        if self._connections.is_address_full(address):
            return Refusal("address full", 429, CloseCode.CROWDED, 5)
        if self._connections.closing:
            return Refusal("shutdown", 503, CloseCode.SHUTDOWN, 1)
        if self._connections.is_full(pending=pending):
            return Refusal("full", 429, CloseCode.FULL, 5)
        return None

    def _read_key(self, headers: Mapping[str, str], options: ConnectionOptions) -> str | None:
        """Returns the key of the web session for which a client may act, or None.

        A page of another origin may not act for the person who looks at the page. Programs send no Origin
        header. Programs need an account only if the gateway is private.
        """
        origin = headers.get("origin")
        is_own = is_own_origin(origin, headers.get("host", ""), self._limits.allowed_origins)
        if (options.meta and is_own) or (self._private and (is_own or origin is None)):
            return read_session_key(headers.get("cookie", ""))
        return None

    async def find_account(self, key: str) -> tuple[AccountSession | None, str | None]:
        """Looks up the web session with this key. Returns one of three pairs.

        - (web session, None) if an account is signed in with the key,
        - (None, None) if no account is signed in with the key,
        - (None, key) if the database does not answer.
        """
        if not self._database.available:
            return None, key
        try:
            return await self._database.run(lambda: web_sessions.find_account_session(key)), None
        except Exception as error:  # Database errors differ by engine.
            log.warning("web session cannot be read, client counts as visitor", reason=type(error).__name__)
            return None, key

    async def answer_status(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers `GET /ws/status`. The status is always 200, because browsers report other statuses as errors."""
        result = await self.check(scope, pending=False)
        body: dict[str, object] = {"ok": True, "connections": self._connections.total}
        if isinstance(result, Refusal):
            body = {"ok": False, "status": result.status, "reason": result.reason, "retry_after": result.retry_after}
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store"), ANY_ORIGIN]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": msgspec.json.encode(body)})
