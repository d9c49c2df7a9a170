"""Defines how a gateway process describes its connections, and encodes the descriptions for Redis.

Pure: no I/O.
"""

import re

import msgspec

MAX_CLIENTS = 5000
"""The most connections that one process describes."""
MAX_SYMBOLS = 20
"""The most symbols that the description of one connection names."""
MAX_REPLY_BYTES = 8 * 1024 * 1024
REQUEST_PATTERN = re.compile(rb"[0-9a-f]{32}")


class ClientEntry(msgspec.Struct, frozen=True):
    """The description of one connection. `kind` is `ws` or `stream`.

    `account` and `token` are ids in the database, or None. `symbol_count` is the number of subscribed symbols.
    `symbols` holds the first MAX_SYMBOLS of them in alphabetical order. `age` is in seconds. `backlog` is the number of
    messages that wait because the client does not read. `conflated` is the number of updates that newer updates
    replaced while the client did not read.
    """

    address: str
    kind: str
    account: int | None
    token: int | None
    symbols: list[str]
    symbol_count: int
    age: int
    backlog: int
    conflated: int


class ProcessReply(msgspec.Struct, frozen=True):
    """The answer of one process: how many connections it has, and the descriptions of the oldest MAX_CLIENTS."""

    total: int
    clients: list[ClientEntry]


class BadReply(ValueError):
    """A value in Redis is not a valid answer of a process."""


def is_request(value: object) -> bool:
    """Returns whether a value from Redis has the form of a request id."""
    return isinstance(value, bytes) and REQUEST_PATTERN.fullmatch(value) is not None


def encode_reply(reply: ProcessReply) -> bytes:
    return msgspec.json.encode(reply)


def decode_reply(value: bytes) -> ProcessReply:
    """Decodes the answer of a process from a value in Redis. Raises BadReply."""
    if len(value) > MAX_REPLY_BYTES:
        raise BadReply("the answer is too large")
    try:
        reply = msgspec.json.decode(value, type=ProcessReply)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadReply("the answer cannot be read") from error
    return reply
