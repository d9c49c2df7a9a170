"""Reads the update in a Kafka record, and the headers of the record. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from feeds.errors import BadRecord
from feeds.source_names import MAX_SOURCE_LENGTH, SIMULATED
from feeds.wire import Update, decode

SOURCE_HEADER, ID_HEADER = "source", "id"
"""The headers of a real trade: its source, and the vendor's id of the trade."""

MISSED_HEADER = "missed"
"""The header that lists missed spans: spans of time in which trades of the record's symbol were lost."""

MAX_SPANS = 8
"""The greatest number of missed spans in one header."""

MAX_MISSED_BYTES = MAX_SPANS * len("1766480000000000-1766480000000000,")

_SPANS = re.compile(rb"\d{16}-\d{16}(?:,\d{16}-\d{16})*")

NO_HEADERS: tuple[str, tuple["Span", ...]] = (SIMULATED, ())
"""What `read_headers` returns for a record without headers."""

Headers = Mapping[str, bytes | str | None] | Sequence[tuple[str, bytes | str | None]] | None


class Record(Protocol):
    """The methods of a Kafka record that the processor uses.

    `timestamp` returns a pair: the kind of the time, and the time in unix milliseconds.
    """

    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def timestamp(self) -> tuple[int, int]: ...


class Span(NamedTuple):
    """A span of time in which trades of a symbol were lost.

    `first` is the time of the known trade before the lost trades. `last` is the time of the known trade after the lost
    trades. The times are in unix microseconds.
    """

    first: int
    last: int


class PublishedTrade(msgspec.Struct, frozen=True, gc=False):
    """A trade that was published to a topic.

    `id` is the vendor's id of the trade. `timestamp` is in unix microseconds.
    """

    source: str
    id: str
    price: float
    timestamp: int


class TopicEnd(msgspec.Struct, frozen=True):
    """What the last records of a topic say about one symbol.

    `seq_id` is the greatest seq_id. `timestamp` is the newest timestamp. These two values may come from different
    records. `trades` are in the order of the topic.
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
    """Returns the source in the headers of a record, such as `kraken`.

    Returns `simulated` if the headers name no valid source.
    """
    value = (headers if isinstance(headers, dict) else dict(headers or ())).get(SOURCE_HEADER)
    if not isinstance(value, bytes) or not 0 < len(value) <= MAX_SOURCE_LENGTH:
        return SIMULATED
    return value.decode() if value.isascii() and value.isalnum() and value == value.lower() else SIMULATED


def read_headers(headers: Headers) -> tuple[str, tuple[Span, ...]]:
    """Returns a pair: the source in the headers of a record, and the spans of time with lost trades."""
    if not headers:
        return NO_HEADERS
    values = dict(headers)
    return read_source(values), read_missed(values) if MISSED_HEADER in values else ()


def read_missed(headers: Headers) -> tuple[Span, ...]:
    """Returns the spans of time that the header MISSED_HEADER lists.

    Returns no spans if this header is missing, too long or malformed.
    """
    value = dict(headers or ()).get(MISSED_HEADER)
    if not isinstance(value, bytes) or len(value) > MAX_MISSED_BYTES or _SPANS.fullmatch(value) is None:
        return ()
    pairs = [part.split(b"-") for part in value.split(b",")]
    spans = [Span(int(first), int(last)) for first, last in pairs]
    return tuple(span for span in spans if span.first <= span.last)


def encode_missed(spans: Iterable[Span]) -> bytes:
    """Returns the value of the header MISSED_HEADER. The caller may pass at most MAX_SPANS spans."""
    return ",".join(f"{first:016}-{last:016}" for first, last in spans).encode()


def unite(spans: Iterable[Span], limit: int = MAX_SPANS) -> tuple[Span, ...]:
    """Joins spans that overlap. Returns the spans in ascending order.

    If more than `limit` spans remain, the oldest spans become one span.
    """
    united: list[Span] = []
    for span in sorted(spans):
        if united and span.first <= united[-1].last:
            united[-1] = Span(united[-1].first, max(united[-1].last, span.last))
        else:
            united.append(span)
    surplus = len(united) - limit
    return tuple([Span(united[0].first, united[surplus].last), *united[surplus + 1 :]] if surplus > 0 else united)
