"""Reads the update in a Kafka record. Pure."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from feeds.errors import BadRecord
from feeds.source_names import MAX_SOURCE_LENGTH, SIMULATED
from feeds.wire import Update, decode

SOURCE_HEADER, ID_HEADER = "source", "id"
"""The headers of a record with a real trade: the source, and the vendor's id of the trade."""

Headers = Mapping[str, bytes | str | None] | Sequence[tuple[str, bytes | str | None]] | None


class Record(Protocol):
    """The part of a Kafka client's record that is used here.

    `timestamp` returns a pair: a kind, and a time in unix milliseconds.
    """

    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def timestamp(self) -> tuple[int, int]: ...


class PublishedTrade(msgspec.Struct, frozen=True, gc=False):
    """A trade in a record at the end of the topic. `id` is the vendor's id."""

    source: str
    id: str
    price: float
    timestamp: int


class TopicEnd(msgspec.Struct, frozen=True):
    """What the records at the end of the topic say about one symbol.

    `seq_id` is the greatest seq_id, and `timestamp` is the newest timestamp. The two numbers may come from different
    records, because a late trade has a greater seq_id and an older time. `trades` are in the order of the topic.
    """

    seq_id: int
    timestamp: int
    trades: tuple[PublishedTrade, ...] = ()


def read_update(key: bytes | None, value: bytes | None, latest: int) -> Update:
    """Returns the update in a record.

    Raises BadRecord if the update is not valid, or if the key is not the update's symbol. `latest` is the greatest
    accepted timestamp, see `feeds.wire.latest_timestamp`.
    """
    if value is None:
        raise BadRecord("the value is null", "null")
    update = decode(value, latest)
    if key is None:
        raise BadRecord("the record has no key; the key must be the symbol", "key")
    if update.symbol.encode() != key:
        raise BadRecord("the key is not the symbol of the value", "key")
    return update


def read_source(headers: Headers) -> str:
    """Returns the source of the update in a record.

    An update without a valid source header is simulated.
    """
    value = dict(headers or ()).get(SOURCE_HEADER)
    if not isinstance(value, bytes) or not 0 < len(value) <= MAX_SOURCE_LENGTH:
        return SIMULATED
    return value.decode() if value.isascii() and value.isalnum() and value == value.lower() else SIMULATED
