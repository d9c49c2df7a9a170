"""Defines the types of the ASGI interface, and what the checks of a connection need from a scope. Pure."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ConnectionRequest:
    """The part of a request to `/ws` or `/ws/status` that the checks need.

    `headers` have names in lower case. The values of repeated `x-forwarded-for` headers are joined with commas. `query`
    is the raw query. `peer` is the (address, port) of the client or proxy, or None if unknown. `is_socket` is True for
    a WebSocket, whose client can send a personal token after connecting.
    """

    headers: Mapping[str, str]
    query: bytes
    peer: Sequence[Any] | None
    is_socket: bool = False

    @classmethod
    def from_scope(cls, scope: Scope) -> "ConnectionRequest":
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        forwarded = ",".join(value for name, value in pairs if name == "x-forwarded-for")
        headers = dict(pairs) | {"x-forwarded-for": forwarded}
        return cls(headers, scope.get("query_string", b""), scope.get("client"), scope["type"] == "websocket")
