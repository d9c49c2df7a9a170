"""Gives each HTTP request an id, and writes one log line for each request: the access line."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from watchlist.accounts.client_address import client_address
from watchlist.accounts.request_ids import HEADER, choose_request_id
from watchlist.gateway.sockets.asgi import Application, Receive, Scope, Send

log = structlog.get_logger(__name__)

EVENT = "http request"
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"))
HEALTH_PATHS = frozenset(("/livez", "/readyz", "/metrics"))
"""Requests for these paths get no access line, because probes send them every few seconds."""
CLIENT_LEFT = 499
"""The status in the access line if the client disconnected before the response. nginx logs the same status."""

RequestHeaders = dict[bytes, bytes]


class Access:
    """What the log line of one request says. `PageHandler` sets `route` and `account`, which are None if unknown."""

    __slots__ = ("account", "body_bytes", "request_id", "route", "status")

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.route: str | None = None
        self.account: int | None = None
        self.status = CLIENT_LEFT
        self.body_bytes = 0

    def note(self, request: Any) -> None:
        """Stores the route of a Django request, and the account if the view or a middleware has looked it up."""
        match = getattr(request, "resolver_match", None)
        self.route = f"/{match.route}" if match is not None else None
        # Reading `request.user` could query the database.
        user, token = getattr(request, "_cached_user", None), getattr(request, "api_token", None)
        self.account = token.owner_id if token is not None else getattr(user, "pk", None)


class AccessLog:
    """Wraps an ASGI application for HTTP: gives each request an id, and writes its access line.

    The id is sent in a header of the response, and is part of all log lines of the request. The wrapped application
    finds the Access of the request in its scope, under the key `access`. `wants_line` is called with the name of the
    logger and the text of an access line, and returns whether to write the line. `trusted` holds the networks of
    trusted proxies. The access line contains neither path nor query, because both may contain secrets.
    """

    def __init__(
        self,
        application: Application,
        trusted: Sequence[str],
        wants_line: Callable[[str, str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._application = application
        self._trusted = trusted
        self._wants_line = wants_line
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, headers = self._clock(), _join_headers(scope)
        sent_id = headers.get(HEADER.encode(), b"").decode("latin-1")
        access = Access(choose_request_id(sent_id, scope.get("client"), self._trusted))
        with structlog.contextvars.bound_contextvars(request_id=access.request_id):
            try:
                await self._application({**scope, "access": access}, receive, _note_response(access, send))
            finally:
                if scope["path"] not in HEALTH_PATHS and self._wants_line(__name__, EVENT):
                    self._write(scope, headers, access, started)

    def _write(self, scope: Scope, headers: RequestHeaders, access: Access, started: float) -> None:
        forwarded = headers.get(b"x-forwarded-for", b"").decode("latin-1")
        method = scope["method"]
        log.info(
            EVENT,
            method=method if method in METHODS else "-",
            route=access.route,
            status=access.status,
            ms=round((self._clock() - started) * 1000, 1),
            bytes=access.body_bytes,
            address=client_address(scope.get("client"), forwarded, self._trusted),
            account=access.account,
        )


def _join_headers(scope: Scope) -> RequestHeaders:
    """Returns the headers of a request. The values of repeated headers are joined with commas."""
    headers: RequestHeaders = {}
    for name, value in scope["headers"]:
        headers[name] = headers[name] + b"," + value if name in headers else value
    return headers


def _note_response(access: Access, send: Send) -> Send:
    """Returns a `send` that adds the id of the request to the response, and stores status and size in `access`."""

    async def send_noted(event: Any) -> None:
        if event["type"] == "http.response.start":
            access.status = event["status"]
            own = (HEADER.encode(), access.request_id.encode())
            event = {**event, "headers": [*event.get("headers", ()), own]}
        elif event["type"] == "http.response.body":
            access.body_bytes += len(event.get("body", b""))
        await send(event)

    return send_noted
