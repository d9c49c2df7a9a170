"""Decodes messages, times, prices and error texts of sources, and refuses what is malformed.

Pure: no I/O. The functions raise BadMessage, whose text contains no part of the message. Only the subclass
ReportedError quotes an error text of the source.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from math import inf
from typing import Annotated, TypeVar

import msgspec

from feeds.sources.adapter import BadMessage
from feeds.sources.events import Bar, Event, Trade
from feeds.wire import DECODE_ERRORS, MAX_NUMBER, MIN_TIMESTAMP, describe_decode_error

Shape = TypeVar("Shape")

Number = float | str
"""A number as sources send it: a JSON number or a decimal text."""

SequenceNumber = Annotated[int, msgspec.Meta(ge=0, lt=MAX_NUMBER)]
UnixSeconds = Annotated[int, msgspec.Meta(ge=MIN_TIMESTAMP // 1_000_000, lt=MAX_NUMBER // 1_000_000)]

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""The greatest accepted length of a WebSocket message. The longest messages have about 1 MiB."""

MAX_BODY_BYTES = 16 * 1024 * 1024
"""The greatest accepted length of an HTTP response. Lists of all instruments have several MiB."""

MAX_NUMBER_LENGTH = 40
MAX_REASON_LENGTH = 200
MAX_NATIVE_LENGTH = 40

# `float` accepts more than this pattern: spaces, underscores, "nan" and "inf".
_DECIMAL = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_NATIVE = re.compile(r"[!-~]+")
_MINUTE_US = 60_000_000
_arrays = msgspec.json.Decoder(list[msgspec.Raw])


class ReportedError(BadMessage):
    """A source answered a request with an error.

    This exception quotes the source's error text, made printable and short.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the source reports: {printable(reason)}")


def decode(decoder: msgspec.json.Decoder[Shape], message: str | bytes, limit: int = MAX_MESSAGE_BYTES) -> Shape:
    """Decodes a message into the decoder's type. Raises BadMessage.

    `limit` is the greatest length of the message: in bytes, or in characters for a str.
    """
    if len(message) > limit:
        raise BadMessage(f"the message has {len(message)} bytes, more than {limit}")
    try:
        return decoder.decode(message)
    except (*DECODE_ERRORS, UnicodeEncodeError) as error:
        raise BadMessage(f"the message has another shape: {describe_decode_error(error)}") from error


def decode_parts(
    decoder: msgspec.json.Decoder[Shape], parts: bytes, read: Callable[[Shape], Sequence[Event]]
) -> list[Event]:
    """Returns the events that `read` makes from the parts of a JSON array.

    If parts are malformed, raises BadMessage with the events of the valid parts.
    """
    events: list[Event] = []
    errors: list[BadMessage] = []
    for part in decode(_arrays, parts):
        try:
            events += read(decode(decoder, part))
        except BadMessage as error:
            errors.append(error)
    if errors:
        raise BadMessage(f"malformed parts: {len(errors)}, the first: {errors[0]}", events) from errors[0]
    return events


def decode_body(decoder: msgspec.json.Decoder[Shape], body: bytes) -> Shape:
    """Decodes the body of an HTTP response into the decoder's type. Raises BadMessage."""
    return decode(decoder, body, MAX_BODY_BYTES)


def read_time(text: str) -> int:
    """Reads a time in RFC 3339, such as `2026-11-22T14:30:00.123456789Z`. Raises BadMessage.

    Returns unix microseconds. Digits after the microseconds are cut off.
    """
    match = _TIME.fullmatch(text) if len(text) <= MAX_NUMBER_LENGTH else None
    if match is None:
        raise BadMessage("a time is not in RFC 3339")
    minute, second, fraction, sign, hours, minutes = match.groups()
    if int(second) > 60:  # 60 is a leap second
        raise BadMessage("a time has no such second")
    offset = (int(hours) * 60 + int(minutes)) * _MINUTE_US if sign else 0
    micros = int(f"{fraction:0<6}"[:6]) if fraction else 0
    start = _minute_start(minute.upper())
    return check_timestamp(start + int(second) * 1_000_000 + micros + (offset if sign == "-" else -offset))


# Cached, because most trades share a few minutes.
@lru_cache(maxsize=256)
def _minute_start(text: str) -> int:
    """Returns the start of a minute, such as `2026-11-22T14:30`, in unix microseconds."""
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadMessage("a time names no date or no minute") from error
    return int(moment.timestamp()) * 1_000_000


def check_timestamp(timestamp: int) -> int:
    """Checks a time in unix microseconds, and returns it unchanged.

    Raises BadMessage if the time is before 2001, or is MAX_NUMBER or more.
    """
    # Redis and clients cannot hold larger numbers exactly.
    if not MIN_TIMESTAMP <= timestamp < MAX_NUMBER:
        raise BadMessage("a time is before 2001 or too far ahead")
    return timestamp


def read_seconds(value: Decimal) -> int:
    """Converts unix seconds to unix microseconds. Cuts off digits after the microseconds. Raises BadMessage."""
    if not value.is_finite() or not 0 <= value < MAX_NUMBER:
        raise BadMessage("a time is not in unix seconds")
    return check_timestamp(int(value * 1_000_000))


def read_number(value: Number) -> float:
    """Returns the value of a JSON number or a decimal text.

    Raises BadMessage if the value is negative, not finite or not a decimal text.
    """
    if isinstance(value, str):
        if len(value) > MAX_NUMBER_LENGTH or not _DECIMAL.fullmatch(value):
            raise BadMessage("a number is not a decimal text")
        value = float(value)
    if not 0 <= value < inf:
        raise BadMessage("a number is negative or not finite")
    return value


def read_price(value: Number) -> float:
    """Returns the value of a price. Raises BadMessage if the price is not a finite number above zero."""
    price = read_number(value)
    if price == 0:
        raise BadMessage("a price is zero")
    return price


def make_bar(start: int, prices: tuple[Number, Number, Number, Number], volume: Number, count: int | None) -> Bar:
    """Returns a bar. `start` is in unix seconds; `prices` are open, high, low and close. Raises BadMessage."""
    first, high, low, close = map(read_price, prices)
    return Bar(start * 1_000_000, first, high, low, close, read_number(volume), count)


def make_numbered_trade(
    native: str, number: int, price: Number, size: Number, timestamp: int, past: bool = False
) -> Trade:
    """Returns a trade of a source whose trade ids are sequence numbers. `number` is the id. Raises BadMessage."""
    return Trade(native, read_price(price), read_number(size), timestamp, str(number), number, past)


def sequence_of(trade: Trade) -> int | None:
    """Returns the sequence number of a trade, for a source whose trade ids are sequence numbers.

    The number is `trade.sequence`, or the trade's id if `trade.sequence` is None. Returns None if neither is a number.
    """
    # A trade that was read back from Kafka has only its id.
    if trade.sequence is None and trade.id.isascii() and trade.id.isdecimal() and len(trade.id) < MAX_NUMBER_LENGTH:
        return int(trade.id)
    return trade.sequence


def missed_sequences(after: Trade | None, until: Trade) -> range:
    """Returns the range of the sequence numbers between the trades `after` and `until`.

    The range is empty if `after` is None, or if one of the trades has no sequence number.
    """
    first = sequence_of(after) if after is not None else None
    last = sequence_of(until)
    return range(0) if first is None or last is None else range(first + 1, last)


def is_native(text: str) -> bool:
    """Returns whether a text can be a native symbol: short printable ASCII without spaces."""
    return len(text) <= MAX_NATIVE_LENGTH and _NATIVE.fullmatch(text) is not None


def printable(text: str) -> str:
    """Returns a text of a source as one line of at most 200 printable characters."""
    characters = (character if character.isprintable() else " " for character in text[: 2 * MAX_REASON_LENGTH])
    return " ".join("".join(characters).split())[:MAX_REASON_LENGTH]
