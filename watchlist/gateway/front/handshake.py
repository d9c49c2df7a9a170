"""Parses the upgrade request of a WebSocket and builds the responses. Pure: no I/O."""

import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha1

from watchlist.gateway.front.plain_request import PlainRequest, compile_request_line, parse_plain_request

ACCEPT_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""The GUID of RFC 6455, section 1.3. The header Sec-WebSocket-Accept is computed with this GUID."""

REQUEST_LINE = compile_request_line("/ws")
KEY = re.compile(r"[0-9A-Za-z+/]{22}==")


class Upgrade(PlainRequest):
    """A plain upgrade request of `/ws`."""

    __slots__ = ()

    @property
    def offered_extensions(self) -> str:
        return self.headers.get("sec-websocket-extensions", "")


def parse_upgrade(data: bytes) -> Upgrade | None:
    """Returns the plain upgrade request at the start of `data`, or None if `data` starts with other bytes."""
    if not data.startswith(b"GET /ws"):
        return None
    request = parse_plain_request(data, REQUEST_LINE)
    if request is None or not _is_upgrade(request.headers):
        return None
    return Upgrade(request.headers, request.query, request.size)


def _is_upgrade(headers: Mapping[str, str]) -> bool:
    return (
        headers.get("upgrade", "").lower() == "websocket"
        and "upgrade" in [token.strip() for token in headers.get("connection", "").lower().split(",")]
        and headers.get("sec-websocket-version") == "13"
        and KEY.fullmatch(headers.get("sec-websocket-key", "")) is not None
    )


def accept_response(upgrade: Upgrade, extensions: str = "", connection_id: str = "") -> bytes:
    """Returns the response that accepts the upgrade.

    `extensions` is the value of the header Sec-WebSocket-Extensions, `connection_id` that of X-Request-ID. An empty
    text leaves the header out.
    """
    digest = sha1(upgrade.headers["sec-websocket-key"].encode() + ACCEPT_KEY, usedforsecurity=False).digest()
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Server: stockwatch",
        b"Upgrade: WebSocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + b64encode(digest),
    ]
    if extensions:
        lines.append(b"Sec-WebSocket-Extensions: " + extensions.encode())
    if connection_id:
        lines.append(b"X-Request-ID: " + connection_id.encode())
    return b"\r\n".join(lines) + b"\r\n\r\n"


def refusal_response(status: int, phrase: str, retry_after: int = 0, connection_id: str = "") -> bytes:
    """Returns a response without a body that refuses the upgrade.

    `retry_after` is the value of the header Retry-After in seconds, `connection_id` that of X-Request-ID. 0 or an empty
    text leaves the header out.
    """
    headers = f"Retry-After: {retry_after}\r\n" if retry_after else ""
    headers += f"X-Request-ID: {connection_id}\r\n" if connection_id else ""
    head = f"HTTP/1.1 {status} {phrase}\r\nServer: stockwatch\r\n{headers}"
    return f"{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
