"""Parses the requests to `/ws` and builds the replies.

Pure: no I/O, no clock, no framework. docs/protocol.md describes requests and replies. Keys, codes and texts must not
change, because the programs of other people rely on them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import msgspec

from feeds.symbols import upper_case
from watchlist.errors import WatchlistError

MAX_MESSAGE_BYTES = 64 * 1024
"""The longest message that a client may send."""
MAX_ECHO_CHARACTERS = 64
"""The most characters that a reply quotes from a client's text."""
MAX_REJECTED_SYMBOLS = 256
"""The most rejected symbols that one reply names."""


class CloseCode(IntEnum):
    """Codes with which the gateway closes a socket.

    After a code from 4000 to 4499, the client should reconnect with backoff. After a code from 4500 to 4999, the client
    should not reconnect.
    """

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
    KICKED = 4504
    SIGN_IN = 4506
    TOKEN = 4507
    LINK_REVOKED = 4510


class ErrorCode(IntEnum):
    """Codes of error replies."""

    MALFORMED = 400
    UNAUTHENTICATED = 401
    FORBIDDEN = 403
    UNKNOWN_SYMBOL = 404
    SYMBOL_LIMIT = 405
    ALREADY_SUBSCRIBED = 409
    RATE_LIMITED = 429
    INTERNAL = 500
    UNAVAILABLE = 503


class BadRequest(WatchlistError):
    """A client's request or query string is invalid. `id` is the id of the request, or None if unknown."""

    def __init__(self, message: str, request_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.id = request_id


INVALID_JSON = "Invalid JSON"
NO_SYMBOLS = "No valid symbols"


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a client. `action` is one of ACTIONS. `token` is the personal token of the action `auth`.

    `symbols` are trimmed and have no duplicates. ASCII symbols are upper-cased. `options` is the value of
    `payload.options`, which the parser does not check.
    """

    action: str
    symbols: tuple[str, ...] = ()
    id: str | None = None
    options: Any = None
    token: str = ""


ACTIONS = frozenset({"subscribe", "unsubscribe", "unsubscribe_all", "list", "ping", "auth"})


def opens_action_mode(text: str) -> bool:
    """Returns whether a socket uses action mode. `text` is the first message of the socket.

    In action mode, requests are JSON objects. In array mode, requests are arrays of symbols.
    """
    return text.lstrip(" \t\r\n")[:1] == "{"


def parse_array(text: str) -> Request:
    """Parses a request of array mode, such as `["AAPL","GOOG"]`. `[]` and `null` request no symbols.

    Raises BadRequest if the text is neither `null` nor an array of strings.
    """
    value = _parse(text)
    if value is None:
        return Request("subscribe")
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadRequest(INVALID_JSON)
    return Request("subscribe", _clean(value))


def parse_action(text: str) -> Request:
    """Parses a request of action mode, such as `{"action":"subscribe","payload":{"symbols":["AAPL"]},"id":"1"}`.

    Raises BadRequest for an invalid request. The error has the request's id if the id could be read.
    """
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
        raise BadRequest(f"Unknown action: {action[:MAX_ECHO_CHARACTERS]}", request_id)
    if action in {"subscribe", "unsubscribe"}:
        payload: Any = value.get("payload")
        return Request(action, _symbols(payload, request_id), request_id, payload.get("options"))
    token = _token(value.get("payload"), request_id) if action == "auth" else ""
    return Request(action, (), request_id, token=token)


def _token(payload: Any, request_id: str | None) -> str:
    token = payload.get("token") if isinstance(payload, dict) else None
    if not isinstance(token, str):
        raise BadRequest("payload.token must be a string", request_id)
    return token


def _symbols(payload: Any, request_id: str | None) -> tuple[str, ...]:
    symbols = payload.get("symbols") if isinstance(payload, dict) else None
    if not isinstance(symbols, list) or not set(map(type, symbols)) <= {str}:
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
    """Returns the reply to a request that succeeded.

    `symbols` are the symbols that the request has subscribed, unsubscribed or listed. `rejected` maps each rejected
    symbol to the reason. `options` are the current delivery options.
    """
    reply: dict[str, Any] = {"type": "ack"}
    if request_id is not None:
        reply["id"] = request_id
    reply |= {"status": "success", "message": message, "symbols": list(symbols)}
    if rejected:
        named = list(rejected.items())[:MAX_REJECTED_SYMBOLS]
        reply["rejected"] = {symbol[:MAX_ECHO_CHARACTERS]: reason for symbol, reason in named}
    if options is not None:
        reply["options"] = options
    return msgspec.json.encode(reply)


def error(message: str, code: ErrorCode, request_id: str | None = None, **more: int) -> bytes:
    """Returns the reply to a request that failed. `more` are further keys of the reply, such as `retry_after_ms`."""
    reply: dict[str, Any] = {"type": "error"}
    if request_id is not None:
        reply["id"] = request_id
    return msgspec.json.encode(reply | {"message": message, "code": int(code)} | more)


def array_error(message: str) -> bytes:
    """Returns the reply to a bad request in array mode. The reply has only the key `error`."""
    return msgspec.json.encode({"error": message})


def pong(request_id: str | None, timestamp: int) -> bytes:
    """Returns the reply to the action `ping`. `timestamp` is the gateway's time in unix microseconds."""
    reply: dict[str, Any] = {"type": "pong"}
    if request_id is not None:
        reply["id"] = request_id
    return msgspec.json.encode(reply | {"timestamp": timestamp})


def lost(symbol: str, first: int, last: int) -> bytes:
    """Returns the `lost` frame, which reports dropped updates of a symbol in the delivery mode `all`.

    `first` and `last` are the smallest and the greatest seq_id of the dropped updates.
    """
    return msgspec.json.encode({"type": "lost", "symbol": symbol, "from": first, "to": last})


def heartbeat(timestamp: int, number: int, feed_age_ms: int | None, source: str) -> bytes:
    """Returns the `heartbeat` frame, which clients request with `?heartbeat=`.

    `timestamp` is the gateway's time in unix microseconds. `number` counts the heartbeats of the socket from 1.
    `feed_age_ms` is the age of the newest update in milliseconds, or None if unknown. `source` is the kind of the
    gateway's sources, such as `live`.
    """
    return msgspec.json.encode(
        {"type": "heartbeat", "timestamp": timestamp, "n": number, "feed_age_ms": feed_age_ms, "source": source}
    )


def feed(source: str, title: str, state: str, reason: str, since: int, symbols: Mapping[str, Iterable[str]]) -> bytes:
    """Returns the `feed` frame about a source of real prices, for clients with `?meta=1`.

    `title` is the name that people see, such as `Kraken`. `since` is the time of the last change of `state`, in unix
    microseconds. `symbols` maps a state of symbols, such as `halted`, to the symbols in this state.
    """
    frame = {"type": "feed", "source": source, "title": title, "state": state, "reason": reason, "since": since}
    return msgspec.json.encode(frame | {"symbols": symbols})


def reconnect(retry_after_ms: int) -> bytes:
    """Returns the `reconnect` frame, which tells clients with `?notice=1` to connect again after `retry_after_ms`."""
    return msgspec.json.encode({"type": "reconnect", "retry_after_ms": retry_after_ms})


def service(*, lists: bool) -> bytes:
    """Returns the `service` frame for clients with `?meta=1`.

    `lists` says whether lists and accounts can be read and changed now.
    """
    return msgspec.json.encode({"type": "service", "lists": lists})


def name_list(symbols: Iterable[str]) -> str:
    """Returns the symbols as text, such as `[AAPL GOOG]`, for the message of a reply."""
    return "[" + " ".join(symbol[:MAX_ECHO_CHARACTERS] for symbol in list(symbols)[:MAX_REJECTED_SYMBOLS]) + "]"
