"""Parses the head of a plain HTTP request.

Pure: no I/O. Only a complete and plain request is parsed. A request is plain if:

- each header has one line and only usual characters,
- each header in SINGLE_HEADERS appears at most once,
- no header in OTHER_HEADERS appears, so that the request has no body.

Every server understands a plain request in the same way. Daphne answers all other requests. The parser can therefore be
stricter than RFC 9112, and reports no errors.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

MAX_HEAD_BYTES = 8 * 1024
"""The most bytes of a plain request. Browsers send about 600 bytes plus cookies."""

HEADERS = re.compile(r"(?:[!#$%&'*+\-.^`|~0-9A-Za-z]+:[\t -~]*\r\n)+")
"""Header lines. A name with an underscore is not plain, because Daphne drops such a header."""
HOST = re.compile(r"(?:[0-9A-Za-z.\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
ORIGIN = re.compile(r"null|https?://[0-9A-Za-z.\-]+(?::[1-5]?[0-9]{1,4})?")
SINGLE_HEADERS = frozenset(
    {
        *("authorization", "cookie", "host", "origin", "upgrade", "sec-websocket-extensions", "sec-websocket-key"),
        "sec-websocket-version",
    }
)
"""Headers that a plain request has at most once."""
OTHER_HEADERS = frozenset({"content-length", "transfer-encoding", "expect", "sec-websocket-protocol"})
"""Headers that a plain request does not have."""


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """A plain request.

    `headers` maps each name, in lower case, to the value. The values of repeated headers are joined with commas.
    `query` is the raw query, such as `batch=1`. `size` is the number of bytes of the request.
    """

    headers: Mapping[str, str]
    query: bytes
    size: int


def compile_request_line(path: str) -> re.Pattern[str]:
    """Returns the pattern of the first line of a plain request for a path. The query contains no space and no `#`."""
    return re.compile(rf"GET {path}/?(?:\?([!-\"$-~]*))? HTTP/1\.1")


def parse_plain_request(data: bytes, line: re.Pattern[str]) -> PlainRequest | None:
    """Returns the plain request at the start of `data`. Returns None if `data` starts with other bytes.

    `line` is a pattern of `compile_request_line`.
    """
    end = data.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
    if end < 0 or not data[:end].isascii():
        return None
    first, _, lines = data[: end + 2].decode("ascii").partition("\r\n")
    found = line.fullmatch(first)
    headers = _parse_headers(lines) if found is not None and HEADERS.fullmatch(lines) is not None else None
    if found is None or headers is None or not _are_plain(headers):
        return None
    return PlainRequest(headers, (found[1] or "").encode(), end + 4)


def _parse_headers(lines: str) -> dict[str, str] | None:
    """Returns a dict from the name of each header, in lower case, to its value.

    The values of a repeated header are joined with commas. Returns None if a header in SINGLE_HEADERS is repeated.
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


def _are_plain(headers: Mapping[str, str]) -> bool:
    return (
        OTHER_HEADERS.isdisjoint(headers)
        and HOST.fullmatch(headers.get("host", "")) is not None
        and ORIGIN.fullmatch(headers.get("origin", "null")) is not None
    )
