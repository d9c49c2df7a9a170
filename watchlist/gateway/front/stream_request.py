"""Parses the request for a stream. Pure: no I/O."""

from watchlist.gateway.front.plain_request import PlainRequest, compile_request_line, parse_plain_request

REQUEST_LINE = compile_request_line("/stream")


def parse_stream_request(data: bytes) -> PlainRequest | None:
    """Returns the plain request of `/stream` at the start of `data`. Returns None if `data` starts with other bytes."""
    if not data.startswith(b"GET /stream"):
        return None
    request = parse_plain_request(data, REQUEST_LINE)
    return None if request is None or "upgrade" in request.headers else request
