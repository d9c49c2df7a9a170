"""Refuses a connection with an HTTP status, or with a close code if the server cannot send a status."""

from dataclasses import dataclass

from watchlist.gateway.closing.kicks import Kicks
from watchlist.gateway.protocol import CloseCode
from watchlist.gateway.sockets.asgi import Receive, Scope, Send
from watchlist.gateway.sockets.daphne_transport import EXTENSION

PHRASES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why and how a connection is refused.

    `status` is the HTTP status of the response. A server that cannot send a status closes with `code`. `retry_after` is
    how many seconds the client should wait before the next attempt. If `retry_after` is 0, the response names no time.
    """

    reason: str
    status: int
    code: CloseCode
    retry_after: int = 0


def find_kick(
    kicks: Kicks, now: float, address: str, account: int | None = None, token: int | None = None
) -> Refusal | None:
    """Returns a refusal if the operator refuses the client, or None if not. `now` is in monotonic seconds."""
    left = kicks.seconds_left(now, address, account, token)
    return Refusal("refused by operator", 429, CloseCode.KICKED, left) if left else None


NOT_FOUND = Refusal("path", 404, CloseCode.BAD_REQUESTS)


async def refuse(scope: Scope, receive: Receive, send: Send, refusal: Refusal) -> None:
    """Sends the refusal as an HTTP response, or as a close code if the server cannot send a response."""
    await receive()
    protocol = scope.get("extensions", {}).get(EXTENSION)
    headers = [("Retry-After", str(refusal.retry_after))] if refusal.retry_after else []
    if refusal.status == 403:
        await send({"type": "websocket.close"})
    elif protocol is not None:
        protocol.failHandshake(PHRASES[refusal.status], refusal.status, [*headers, ("Content-Length", "0")])
        await receive()
    elif "websocket.http.response" in scope.get("extensions", {}):
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
        await send({"type": "websocket.http.response.start", "status": refusal.status, "headers": encoded})
        await send({"type": "websocket.http.response.body", "body": b""})
    else:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": int(refusal.code)})
