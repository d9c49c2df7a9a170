"""May this connection be? The checks before the upgrade, and the same asked over HTTP at `/ws/status`.

A browser cannot see why an upgrade failed; it asks here afterwards. Asking costs nothing from the bucket.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import structlog

from watchlist.accounts.client_address import client_address
from watchlist.gateway import account_lists as accounts
from watchlist.gateway.account_lists import AccountSession, session_key
from watchlist.gateway.database import DatabaseMonitor
from watchlist.gateway.protocol import BadRequest, Close, ConnectionOptions, parse_query
from watchlist.gateway.sockets.origins import allows_origin, is_own_origin
from watchlist.gateway.sockets.transport import Receive, Scope, Send

if TYPE_CHECKING:
    from watchlist.gateway.gateway import Gateway

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a connection may not be; `code` closes it where the server cannot send `status`. Seconds to wait, or 0."""

    reason: str
    status: int
    code: Close
    retry_after: int = 0


@dataclass(frozen=True, slots=True)
class Admitted:
    """A connection that may be: what it wished, and whose it is where its session says so."""

    wishes: ConnectionOptions
    visit: AccountSession | None = None
    stranger: str | None = None
    """The key of a session that could not be looked up: without a database nobody is known."""


async def admit(gateway: "Gateway", scope: Scope, *, spend: bool = True) -> Admitted | Refusal:
    """All checks in their order, the cheapest first."""
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    headers, forwarded = dict(pairs), ",".join(value for name, value in pairs if name == "x-forwarded-for")
    limits, origin = gateway.limits, headers.get("origin")
    if not allows_origin(origin, limits.allowed_origins):
        return Refusal("origin", 403, Close.BAD_REQUESTS)
    try:
        wishes = parse_query(scope.get("query_string", b""))
    except BadRequest:
        return Refusal("query", 400, Close.BAD_REQUESTS)
    try:
        admission = await gateway.start()
    except Exception as error:  # the database's errors differ by engine; nobody can be told what is valid
        log.warning("tickers cannot be read, a client was sent away", reason=type(error).__name__)
        return Refusal("no tickers", 503, Close.FULL, 5)
    own = is_own_origin(origin, headers.get("host", ""), limits.allowed_origins)
    # A question that costs nothing may not cost the database anything either.
    key = session_key(headers.get("cookie", "")) if wishes.meta and own and spend else None
    visit, stranger = await find_account_session(gateway.service, key) if key else (None, None)
    address = client_address(scope.get("client"), forwarded, limits.trusted_proxies)
    if wait := await admission.wait_of(f"account:{visit.account}" if visit else address, spend=spend):
        return Refusal("address rate", 429, Close.CROWDED, wait)
    if gateway.closing:
        return Refusal("shutdown", 503, Close.SHUTDOWN, 1)
    if gateway.is_full(asking=not spend):
        return Refusal("full", 429, Close.FULL, 5)
    return Admitted(wishes, visit, stranger)


async def find_account_session(service: DatabaseMonitor, key: str) -> tuple[AccountSession | None, str | None]:
    """Whose session it is; or the key again where the database does not say, and who that is counts as a visitor."""
    if not service.lists:
        return None, key
    try:
        return await service.ask(lambda: accounts.find_account_session(key)), None
    except Exception as error:  # as above
        log.warning("a session cannot be read, it counts as a visitor's", reason=type(error).__name__)
        return None, key


async def answer_status(gateway: "Gateway", scope: Scope, _receive: Receive, send: Send) -> None:
    """`GET /ws/status`: always 200, for a browser calls anything else an error of the page."""
    result = await admit(gateway, scope, spend=False)
    body: dict[str, object] = {"ok": True, "connections": len(gateway.sessions)}
    if isinstance(result, Refusal):
        body = {"ok": False, "status": result.status, "reason": result.reason, "retry_after": result.retry_after}
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": msgspec.json.encode(body)})
