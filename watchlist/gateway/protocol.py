"""The frames of `/ws`, both ways: requests in, replies and updates out, close codes, RFC 6455 framing.

Pure: bytes and values in, bytes and values out; no I/O, no clock, no framework. What the frames look like is a contract
with programs that we do not know: nothing here changes for the sake of the code.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from urllib.parse import parse_qs

import msgspec

from feeds.symbols import upper_case

LARGEST_MESSAGE = 64 * 1024
"""Bytes of one message from a client."""
LARGEST_ECHO = 64
"""Characters of a client's own text that a reply repeats."""
MOST_REJECTED = 256
"""Symbols that one reply names as rejected, so that a reply is never much larger than the request."""


class Close(IntEnum):
    """Close codes: 4000 to 4499 say «come back, with jittered backoff», 4500 to 4999 «do not, you are at fault»."""

    SHUTDOWN = 4001
    FULL = 4003
    CROWDED = 4004
    SLOW = 4008
    SILENT = 4009
    NO_PONG = 4012
    FLOOD = 4013
    BAD_REQUESTS = 4501
    TOO_LARGE = 4502
    BINARY = 4503


class Code(IntEnum):
    """Codes of error replies; the socket stays open."""

    SHAPE = 400
    UNKNOWN = 404
    SYMBOL_LIMIT = 405
    SUBSCRIBED = 409
    TOO_MANY = 429
    INTERNAL = 500
    UNAVAILABLE = 503


class BadRequest(Exception):
    """A frame that is not a request. `id` is the client's, where it could be read."""

    def __init__(self, message: str, request_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.id = request_id


INVALID_JSON = "Invalid JSON"
NO_SYMBOLS = "No valid symbols"


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks: `action` is one of ACTIONS, `symbols` are trimmed, upper-cased and each named once."""

    action: str
    symbols: tuple[str, ...] = ()
    id: str | None = None
    options: Any = None


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """What a client asked for in the address it connected to; `heartbeat` in seconds, 0 for none."""

    batch: bool = False
    heartbeat: int = 0
    meta: bool = False
    notice: bool = False


def parse_query(query: bytes) -> ConnectionOptions:
    """`?batch=1&heartbeat=15&meta=1&notice=1`; other keys are ignored. Raises BadRequest for a bad heartbeat."""
    found = parse_qs(query.decode("latin-1"))
    beat = found.get("heartbeat", ["0"])[0]
    if not (beat == "0" or (beat.isascii() and beat.isdecimal() and len(beat) < 3 and 1 <= int(beat) <= 60)):
        raise BadRequest("heartbeat must be a whole number of seconds from 1 to 60")
    wished = {name: found.get(name) == ["1"] for name in ("batch", "meta", "notice")}
    return ConnectionOptions(heartbeat=int(beat), **wished)


ACTIONS = frozenset({"subscribe", "unsubscribe", "unsubscribe_all", "list", "ping"})


def opens_action_mode(text: str) -> bool:
    """Whether a first frame puts its socket in action mode for good; any other is an array of symbols."""
    return text.lstrip(" \t\r\n")[:1] == "{"


def parse_array(text: str) -> Request:
    """`["AAPL","GOOG"]`; `[]` and `null` are a request for nothing. Raises BadRequest for all else."""
    value = _parse(text)
    if value is None:
        return Request("subscribe")
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadRequest(INVALID_JSON)
    return Request("subscribe", _clean(value))


def parse_action(text: str) -> Request:
    """`{"action":"subscribe","payload":{"symbols":["AAPL"]},"id":"1"}`. Raises BadRequest with the client's id."""
    value = _parse(text)
    if not isinstance(value, dict):
        raise BadRequest("A request must be a JSON object")
    request_id = value.get("id")
    if not (request_id is None or isinstance(request_id, str)):
        raise BadRequest("id must be a string")
    action = value.get("action")
    if not isinstance(action, str):
        raise BadRequest("action must be a string", request_id)
    if action not in ACTIONS:
        raise BadRequest(f"Unknown action: {action[:LARGEST_ECHO]}", request_id)
    if action in {"subscribe", "unsubscribe"}:
        payload: Any = value.get("payload")
        return Request(action, _symbols(payload, request_id), request_id, payload.get("options"))
    return Request(action, (), request_id)


def _symbols(payload: Any, request_id: str | None) -> tuple[str, ...]:
    symbols = payload.get("symbols") if isinstance(payload, dict) else None
    if not isinstance(symbols, list) or not all(isinstance(item, str) for item in symbols):
        raise BadRequest("payload.symbols must be an array of strings", request_id)
    return _clean(symbols)


def _clean(symbols: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(upper_case, symbols)))


def _parse(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        raise BadRequest(INVALID_JSON) from error


def ack(
    message: str,
    symbols: Iterable[str],
    request_id: str | None = None,
    rejected: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> bytes:
    """The reply to a request that was carried out: the symbols it touched, those it did not, the options in force."""
    reply: dict[str, Any] = {"type": "ack"}
    if request_id is not None:
        reply["id"] = request_id
    reply |= {"status": "success", "message": message, "symbols": list(symbols)}
    if rejected:
        shown = list(rejected.items())[:MOST_REJECTED]
        reply["rejected"] = {symbol[:LARGEST_ECHO]: reason for symbol, reason in shown}
    if options is not None:
        reply["options"] = options
    return msgspec.json.encode(reply)


def error(message: str, code: Code, request_id: str | None = None, **more: int) -> bytes:
    """The reply to a request that was not carried out."""
    reply: dict[str, Any] = {"type": "error"}
    if request_id is not None:
        reply["id"] = request_id
    return msgspec.json.encode(reply | {"message": message, "code": int(code)} | more)


def array_error(message: str) -> bytes:
    """The error of array mode, which has no more keys than this one."""
    return msgspec.json.encode({"error": message})


def pong(request_id: str | None, timestamp: int) -> bytes:
    """The reply to the action `ping`; `timestamp` in unix microseconds, as in updates."""
    reply: dict[str, Any] = {"type": "pong"}
    if request_id is not None:
        reply["id"] = request_id
    return msgspec.json.encode(reply | {"timestamp": timestamp})


def lost(symbol: str, first: int, last: int) -> bytes:
    """Mode `all`: which numbers of a symbol a socket that did not keep up has not been sent."""
    return msgspec.json.encode({"type": "lost", "symbol": symbol, "from": first, "to": last})


def heartbeat(timestamp: int, number: int, feed_age_ms: int | None, source: str) -> bytes:
    """The frame of `?heartbeat=`: `timestamp` in unix microseconds, the age of the newest update that came in."""
    beat = {"type": "heartbeat", "timestamp": timestamp, "n": number, "feed_age_ms": feed_age_ms, "source": source}
    return msgspec.json.encode(beat)


def reconnect(retry_after_ms: int) -> bytes:
    """The frame of `?notice=1` before a shutdown."""
    return msgspec.json.encode({"type": "reconnect", "retry_after_ms": retry_after_ms})


def service(*, lists: bool) -> bytes:
    """The frame of `?meta=1` when lists can no longer be changed, and when they can again."""
    return msgspec.json.encode({"type": "service", "lists": lists})


def name_list(symbols: Iterable[str]) -> str:
    """Symbols as the replies write them: `[AAPL GOOG]`."""
    return "[" + " ".join(symbol[:LARGEST_ECHO] for symbol in list(symbols)[:MOST_REJECTED]) + "]"


def text_frame(payload: bytes) -> bytes:
    """One whole, unmasked text frame."""
    return frame_header(0x81, len(payload)) + payload


def ping_frame() -> bytes:
    return b"\x89\x00"


def pong_frame(payload: bytes) -> bytes:
    """The answer to a client's ping, which may have 125 bytes."""
    return frame_header(0x8A, len(payload)) + payload


def frame_header(first: int, length: int) -> bytes:
    if length < 126:
        return bytes((first, length))
    if length < 65536:
        return bytes((first, 126)) + length.to_bytes(2, "big")
    return bytes((first, 127)) + length.to_bytes(8, "big")


def frame_payload(frame: bytes) -> bytes:
    """What `text_frame` was given."""
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]


def split_frames(block: bytes) -> list[bytes]:
    """Whole text frames, joined, back into a list of them."""
    frames = []
    at = 0
    while at < len(block):
        length = block[at + 1]
        head = {126: 4, 127: 10}.get(length, 2)
        if head > 2:
            length = int.from_bytes(block[at + 2 : at + head], "big")
        frames.append(block[at : at + head + length])
        at += head + length
    return frames
