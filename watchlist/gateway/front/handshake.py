"""Parses the upgrade request of a WebSocket and builds the responses.

Pure: no I/O. Only a complete and plain request is parsed. A request is plain if:

- each header has one line and only usual characters,
- each header in SINGLE_HEADERS appears at most once,
- no header in OTHER_HEADERS appears.

Every server understands a plain request in the same way. Daphne answers all other requests.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha1

MAX_HEAD_BYTES = 8 * 1024
"""The most bytes of a plain request. Browsers send about 600 bytes plus cookies."""
ACCEPT_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""The GUID of RFC 6455, section 1.3. The header Sec-WebSocket-Accept is computed with this GUID."""

HEADERS = re.compile(r"(?:[!#$%&'*+\-.^`|~0-9A-Za-z]+:[\t -~]*\r\n)+")
"""Matches the header lines of a plain request. A name has no underscore, because Daphne drops such headers."""
REQUEST_LINE = re.compile(r"GET /ws/?(?:\?([!-\"$-~]*))? HTTP/1\.1")
"""The first line of a plain request. The query contains no space and no `#`."""
HOST = re.compile(r"(?:[0-9A-Za-z.\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
ORIGIN = re.compile(r"null|https?://[0-9A-Za-z.\-]+(?::[1-5]?[0-9]{1,4})?")
KEY = re.compile(r"[0-9A-Za-z+/]{22}==")
SINGLE_HEADERS = frozenset(
    {
        *("cookie", "host", "origin", "upgrade", "sec-websocket-extensions", "sec-websocket-key"),
        "sec-websocket-version",
    }
)
"""Headers that a plain request has at most once."""
OTHER_HEADERS = frozenset({"content-length", "transfer-encoding", "expect", "sec-websocket-protocol"})
"""Headers that a plain request does not have."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A plain upgrade request of `/ws`.

    `headers` maps each name, in lower case, to the value. The values of repeated headers are joined with commas.
    `query` is the raw query, such as `batch=1`. `size` is the number of bytes of the request.
    """

    headers: Mapping[str, str]
    query: bytes
    size: int

    @property
    def offered_extensions(self) -> str:
        return self.headers.get("sec-websocket-extensions", "")


def parse_upgrade(data: bytes) -> Upgrade | None:
    """Returns the plain upgrade request at the start of `data`, or None if `data` starts with other bytes."""
    end = data.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
    if end < 0 or not data.startswith(b"GET /ws") or not data[:end].isascii():
        return None
    first, _, lines = data[: end + 2].decode("ascii").partition("\r\n")
    found = REQUEST_LINE.fullmatch(first)
    headers = _parse_headers(lines) if found is not None and HEADERS.fullmatch(lines) is not None else None
    if found is None or headers is None or not _is_upgrade(headers):
        return None
    return Upgrade(headers, (found[1] or "").encode(), end + 4)


def _parse_headers(lines: str) -> dict[str, str] | None:
    """Returns the headers by lower-case name. Returns None if a header in SINGLE_HEADERS is repeated.

    The values of any other repeated header are joined with commas.
    """
    headers: dict[str, str] = {}
    for line in lines.split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        if name in headers:
            if name in SINGLE_HEADERS:
                return None
            value = f"{headers[name]},{value}"
        headers[name] = value
    return headers


def _is_upgrade(headers: Mapping[str, str]) -> bool:
    if not OTHER_HEADERS.isdisjoint(headers):
        return False
    return (
        headers.get("upgrade", "").lower() == "websocket"
        and "upgrade" in [token.strip() for token in headers.get("connection", "").lower().split(",")]
        and headers.get("sec-websocket-version") == "13"
        and KEY.fullmatch(headers.get("sec-websocket-key", "")) is not None
        and HOST.fullmatch(headers.get("host", "")) is not None
        and ORIGIN.fullmatch(headers.get("origin", "null")) is not None
    )


def accept_response(upgrade: Upgrade, extensions: str = "") -> bytes:
    """Returns the response that accepts the upgrade.

    `extensions` is the value of the header Sec-WebSocket-Extensions. An empty text leaves the header out.
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
    return b"\r\n".join(lines) + b"\r\n\r\n"


def refusal_response(status: int, phrase: str, retry_after: int = 0) -> bytes:
    """Returns a response without a body that refuses the upgrade.

    `retry_after` is the value of the header Retry-After in seconds. 0 leaves the header out.
    """
    retry = f"Retry-After: {retry_after}\r\n" if retry_after else ""
    head = f"HTTP/1.1 {status} {phrase}\r\nServer: stockwatch\r\n{retry}"
    return f"{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
