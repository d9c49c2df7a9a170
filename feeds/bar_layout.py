"""Defines how Redis stores bars: days as JSON, seconds and minutes as rings. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any, NamedTuple

import msgspec

from feeds.errors import BadRecord
from feeds.wire import describe_decode_error

DAY_PREFIX = "day:"


class NewestDay(msgspec.Struct, frozen=True, gc=False):
    """The newest market day of one symbol: the JSON object in `day:AAPL`.

    `day` is the date on which the day begins (2026-11-22). `previous_close` is the last price of the last earlier day
    with a price. `timestamp` and `seq_id` belong to the update that set `close`.
    """

    symbol: str
    day: str
    open: float
    high: float
    low: float
    close: float
    count: int
    previous_close: float | None
    timestamp: int
    seq_id: int


def day_key(symbol: str) -> str:
    return DAY_PREFIX + symbol


_decode_day = msgspec.json.Decoder(NewestDay).decode


def decode_day(value: bytes) -> NewestDay:
    """Decodes the value of a `day:` key. Raises BadRecord if it is not a day."""
    try:
        return _decode_day(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRecord(f"the value is not a day: {describe_decode_error(error)}") from error


class Slot(NamedTuple):
    """One bar in a ring: 64 bytes, little-endian.

    The slot is empty if `update_count` is 0. `cycle` is the number of times that the ring was filled before this bar.
    `first_us` and `last_us` are the times of the first and the last update, in microseconds from the start of the bar.
    """

    cycle: int
    update_count: int
    first_us: int
    last_us: int
    open: float
    high: float
    low: float
    close: float
    first_seq: int
    last_seq: int


_SLOT = Struct("<IIIIddddqq")


@dataclass(frozen=True, slots=True)
class BarRing:
    """Bars of one length in a Redis string.

    The bar with number `start` since 1970 is in slot `start % slots`. Each bar overwrites the one `slots` bars before
    it. So a ring needs no trimming, a repeated write changes nothing, and one or two GETRANGE calls read any part of
    it.
    """

    prefix: str
    bar_seconds: int
    slots: int

    @property
    def size(self) -> int:
        """Bytes of a whole ring."""
        return self.slots * _SLOT.size

    def key(self, symbol: str) -> str:
        return self.prefix + symbol

    def offset(self, start: int) -> int:
        """The position in the string, in bytes, of the slot of a bar."""
        return start % self.slots * _SLOT.size

    def byte_ranges(self, first: int, last: int) -> list[tuple[int, int]]:
        """First and last byte of the bars from `first` to `last`.

        Returns one range, or two in order of time. If the ring has fewer slots, these are the ranges of the last bars
        that fit.
        """
        first = max(first, last - self.slots + 1)
        begin, end = self.offset(first), self.offset(last) + _SLOT.size - 1
        return [(begin, end)] if begin < end else [(begin, self.size - 1), (0, end)]

    def pack(
        self, start: int, ohlc_count: Sequence[float], within_us: tuple[int, int], seq_ids: tuple[int, int]
    ) -> bytes:
        """Encodes the slot of a bar.

        `ohlc_count` holds open, high, low, close and count. `within_us` and `seq_ids` belong to the first and the last
        update; times are in microseconds from the start of the bar.
        """
        return _SLOT.pack(start // self.slots, ohlc_count[4], *within_us, *ohlc_count[:4], *seq_ids)

    def unpack(self, data: bytes, first: int, last: int) -> list[tuple[int, Slot]]:
        """Decodes the bytes of `byte_ranges(first, last)`.

        Returns the start and the slot of each bar, in order of time. Skips slots that are empty, belong to another
        cycle or are incomplete.
        """
        return [(start, Slot._make(raw)) for start, raw in self._unpack_valid(data, first, last)]

    def unpack_closes(self, data: bytes, first: int, last: int) -> list[float]:
        """The closing prices of the same bars; faster than `unpack`."""
        return [raw[7] for _, raw in self._unpack_valid(data, first, last)]

    def _unpack_valid(self, data: bytes, first: int, last: int) -> list[tuple[int, tuple[Any, ...]]]:
        first = max(first, last - self.slots + 1)
        whole = memoryview(data)[: len(data) // _SLOT.size * _SLOT.size]
        slots = zip(range(first, last + 1), _SLOT.iter_unpack(whole), strict=False)
        return [(start, raw) for start, raw in slots if raw[1] and raw[0] == start // self.slots]


SECONDS = BarRing("bars:1s:", 1, 600)
"""Ten minutes of seconds."""


MINUTES = BarRing("bars:1m:", 60, 1440)
"""A day of minutes."""
