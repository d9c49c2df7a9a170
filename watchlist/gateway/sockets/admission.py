"""Decides whether to accept a WebSocket connection, and answers `GET /ws/status`.

A page in a browser cannot see why its connection was refused. The page therefore requests `/ws/status` afterwards.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec
import structlog

from watchlist.accounts.client_address import client_address
from watchlist.gateway import web_sessions
from watchlist.gateway.connection_options import ConnectionOptions, parse_query
from watchlist.gateway.database import DatabaseMonitor
from watchlist.gateway.fanout.outbox import Outbox
from watchlist.gateway.limits import Limits
from watchlist.gateway.protocol import BadRequest, CloseCode
from watchlist.gateway.sockets.asgi import ConnectionRequest, Receive, Scope, Send
from watchlist.gateway.sockets.connection_rate import ConnectionRate
from watchlist.gateway.sockets.connections import Connections
from watchlist.gateway.sockets.origins import allows_origin, is_own_origin
from watchlist.gateway.sockets.refusal import Refusal, find_kick
from watchlist.gateway.sockets.session import Session
from watchlist.gateway.sockets.tokens.verifier import NO_DATABASE, TokenVerifier, VerifiedToken, read_token
from watchlist.gateway.web_sessions import AccountSession, names_session, read_session_key

ANY_ORIGIN = (b"access-control-allow-origin", b"*")
NO_SNIFFING = (b"x-content-type-options", b"nosniff")
NOT_SIGNED_IN = Refusal("sign in", 401, CloseCode.SIGN_IN)
NO_TICKERS = Refusal("no tickers", 503, CloseCode.FULL, 5)
FULL = Refusal("full", 429, CloseCode.FULL, 5)
CHECK_TIMEOUT_SECONDS = 10.0
"""How long a check that `Admission.begin` starts may take."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A connection that passed all checks. `account_session` is None if no account is signed in."""

    options: ConnectionOptions
    address: str = ""
    account_session: AccountSession | None = None
    unverified_key: str | None = None
    """The key of a web session that could not be looked up yet. Until the look-up, the client counts as a visitor."""
    token: VerifiedToken | None = None
    """The personal token in the request."""
    must_authenticate: bool = False
    """Whether the client of a private gateway must send a personal token before anything else."""


class Admission:
    """Decides for each connection whether to accept it.

    `start` starts the gateway at the first call, and returns the rate limit of new connections. `start` raises an error
    if the tickers cannot be read. A `private` gateway accepts only clients with the session cookie of a signed-in
    account or with a personal token. A client of `/ws` may send the token after connecting.
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
        self._tokens = connections.context.tokens or TokenVerifier(database, start)
        self.private = private
        self._rate: ConnectionRate | None = None  # set when the gateway has started and knows the tickers
        self._tasks: set[asyncio.Task[None]] = set()

    async def check(self, scope: Scope, *, pending: bool = True) -> Admitted | Refusal:
        """Calls `check_request` for the connection in an ASGI scope."""
        return await self.check_request(ConnectionRequest.from_scope(scope), pending=pending)

    async def check_request(self, request: ConnectionRequest, *, pending: bool = True) -> Admitted | Refusal:
        """Decides whether to accept a connection. Returns Admitted, or the Refusal of the first check that fails.

        `pending` is True for a new connection, which takes a token of the rate limit. `pending` is False for a request
        to `/ws/status`, which takes no token. A status request looks up its account only while the operator refuses an
        account.
        """
        options = self._check_head(request)
        if isinstance(options, Refusal):
            return options
        try:
            rate = self._rate = await self._start()
        except Exception as error:  # Database errors differ by engine. Without tickers no symbol is valid.
            log.warning("connection refused, tickers cannot be read", reason=type(error).__name__)
            return NO_TICKERS
        address = self._find_address(request)
        if kicked := self._find_kick(address):
            return kicked
        token = read_token(request.headers)
        if token is not None and pending:
            return await self._check_token(request, options, token)
        if not pending and (kicked := await self._find_kicked_account(request.headers, address, rate)):
            return kicked
        key = self._read_key(request.headers, options)
        # A status request takes no token, so nothing would limit its queries.
        account_session, unverified_key = await self.find_account(key) if key and pending else (None, None)
        if account_session and (kicked := self._find_kick(address, account_session.account)):
            return kicked
        subject = f"account:{account_session.account}" if account_session else address
        if wait := await rate.seconds_to_wait(subject, spend=pending):
            return make_rate_refusal(wait)
        if self.private and account_session is None and (pending or (key is None and token is None)):
            return NO_DATABASE if unverified_key else self._ask_for_token(request, options, address)
        return self._find_no_room(address, pending) or Admitted(options, address, account_session, unverified_key)

    async def _check_token(
        self, request: ConnectionRequest, options: ConnectionOptions, token: str
    ) -> Admitted | Refusal:
        """Accepts or refuses a client that sends a personal token in a header."""
        address = self._find_address(request)
        verified = await self._tokens.verify(token, address)
        if isinstance(verified, Refusal):
            return verified
        return (
            self._find_kick(address, verified.owner, verified.key)
            or self._find_no_room(address, True)
            or Admitted(options, address, token=verified)
        )

    def _ask_for_token(
        self, request: ConnectionRequest, options: ConnectionOptions, address: str
    ) -> Admitted | Refusal:
        """Decides about a client without an account and without a token in a header, in a private gateway.

        Accepts the WebSocket of a program, which must then send a token. Refuses a stream. Refuses the WebSocket of a
        page whose web session has ended, or that shows a shared list. These pages then ask the person to sign in.
        """
        is_page = bool(options.shared) or names_session(request.headers.get("cookie", ""))
        if is_page or not request.is_socket:
            return NOT_SIGNED_IN
        if self._connections.is_unauthenticated_full():  # strangers must leave room for accounts
            return FULL
        return self._find_no_room(address, True) or Admitted(options, address, must_authenticate=True)

    def begin(self, request: ConnectionRequest, done: Callable[[Admitted | Refusal], None]) -> None:
        """Checks a new connection as `check_request` does. Calls `done` with the result, now or later."""
        options = self._check_head(request)
        if isinstance(options, Refusal):
            done(options)
        elif self._connections.is_process_full(pending=True):  # a socket that waits for the checks uses a descriptor
            done(FULL)
        elif self._rate is None or self._names_account(request.headers, options):
            task = asyncio.ensure_future(self._check_in_task(request, done))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            address = self._find_address(request)
            self._rate.ask(address, lambda wait: done(self._decide(request, options, address, wait)))

    async def _check_in_task(self, request: ConnectionRequest, done: Callable[[Admitted | Refusal], None]) -> None:
        result: Admitted | Refusal = NO_TICKERS
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                result = await self.check_request(request)
        except TimeoutError:
            log.warning("connection refused, check took too long")
        finally:
            done(result)

    def _decide(
        self, request: ConnectionRequest, options: ConnectionOptions, address: str, wait: int
    ) -> Admitted | Refusal:
        """Accepts or refuses a client that uses no account.

        `wait` is how many seconds the rate limit makes the client wait, or 0.
        """
        if kicked := self._find_kick(address):
            return kicked
        if wait:
            return make_rate_refusal(wait)
        if self.private:
            return self._ask_for_token(request, options, address)
        return self._find_no_room(address, True) or Admitted(options, address)

    def _check_head(self, request: ConnectionRequest) -> ConnectionOptions | Refusal:
        """Checks the origin and the query of a request. Returns the options in the query, or a refusal."""
        if not allows_origin(request.headers.get("origin"), self._limits.allowed_origins):
            return Refusal("origin", 403, CloseCode.BAD_REQUESTS)
        try:
            return parse_query(request.query)
        except BadRequest:
            return Refusal("query", 400, CloseCode.BAD_REQUESTS)

    def _find_address(self, request: ConnectionRequest) -> str:
        forwarded = request.headers.get("x-forwarded-for", "")
        return client_address(request.peer, forwarded, self._limits.trusted_proxies)

    def _find_kick(self, address: str, account: int | None = None, token: int | None = None) -> Refusal | None:
        """Returns a refusal if the operator refuses the client, or None if not."""
        return find_kick(self._connections.kicks, self._connections.context.clock.now(), address, account, token)

    async def _find_kicked_account(
        self, headers: Mapping[str, str], address: str, rate: ConnectionRate
    ) -> Refusal | None:
        """Returns a refusal if the operator refuses the account of a status request, or None if not.

        Looks up no account if the operator refuses none. Looks up only so many accounts for each address.
        """
        kicks, now = self._connections.kicks, self._connections.context.clock.now()
        key = read_session_key(headers.get("cookie", "")) if kicks.refuses_accounts(now) else None
        if key is None or await rate.seconds_to_wait(f"status:{address}"):
            return None
        account_session, _ = await self.find_account(key)
        return self._find_kick(address, account_session.account) if account_session else None

    def _find_no_room(self, address: str, pending: bool) -> Refusal | None:
        """Returns a refusal if the gateway is stopping, or if a limit of open sockets is reached. Otherwise None."""
        if self._connections.is_address_full(address):
            return Refusal("address full", 429, CloseCode.CROWDED, 5)
        if self._connections.closing:
            return Refusal("shutdown", 503, CloseCode.SHUTDOWN, 1)
        if self._connections.is_full(pending=pending):
            return FULL
        return None

    def _names_account(self, headers: Mapping[str, str], options: ConnectionOptions) -> bool:
        """Returns whether the request has a personal token or the key of a web session, which must be looked up."""
        return read_token(headers) is not None or self._read_key(headers, options) is not None

    def _read_key(self, headers: Mapping[str, str], options: ConnectionOptions) -> str | None:
        """Returns the key of the web session in the cookie, or None if the connection uses no account.

        In a public gateway, only pages of this site with `?meta=1` use an account. In a private gateway, all pages of
        this site and all programs use an account. `is_own_origin` recognizes pages of this site.
        """
        origin = headers.get("origin")
        is_own = is_own_origin(origin, headers.get("host", ""), self._limits.allowed_origins)
        if (options.meta and is_own) or (self.private and (is_own or origin is None)):
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
        """Answers `GET /ws/status` with JSON that says whether the client could connect to `/ws` now.

        The HTTP status is always 200.
        """
        result = await self.check(scope, pending=False)
        body: dict[str, object] = {"ok": True, "connections": self._connections.total}
        if isinstance(result, Refusal):
            body = {"ok": False, "status": result.status, "reason": result.reason, "retry_after": result.retry_after}
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store"), ANY_ORIGIN, NO_SNIFFING]
        # Browsers report other statuses as errors.
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": msgspec.json.encode(body)})


def make_rate_refusal(wait: int) -> Refusal:
    """Returns the refusal of a client that connects too often. `wait` is in seconds."""
    return Refusal("address rate", 429, CloseCode.CROWDED, wait)


def open_session(connections: Connections, outbox: Outbox, admitted: Admitted) -> Session:
    """Opens the session of an accepted WebSocket."""
    if admitted.must_authenticate:
        return connections.open_unauthenticated(outbox, admitted.options, admitted.address)
    return connections.open(
        outbox,
        admitted.options,
        admitted.account_session,
        admitted.unverified_key,
        admitted.address,
        admitted.token,
    )
