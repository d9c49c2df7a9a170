"""How bars lie in Redis: the day of a symbol as JSON, seconds and minutes as rings of fixed-size slots. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any, NamedTuple

import msgspec

from feeds.errors import BadRecord
from feeds.wire import describe_decode_error

DAY_PREFIX = "day:"


class Day(msgspec.Struct, frozen=True, gc=False):
    """The newest day of one symbol, as `day:AAPL` holds it: a JSON object of these keys.

    `day` is the date on which it began (2026-11-22), `previous_close` the last price of the day before it that had any;
    `timestamp` and `seq_id` are those of the update that made `close`.
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


_decode_day = msgspec.json.Decoder(Day).decode


def decode_day(value: bytes) -> Day:
    """Raises BadRecord when the bytes are not a day."""
    try:
        return _decode_day(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRecord(f"the value is not a day: {describe_decode_error(error)}") from error


class Slot(NamedTuple):
    """One bar in a ring: little-endian, 64 bytes, empty where `counted` is 0.

    `turn` says which round of the ring the bar belongs to; `first_us` and `last_us` when in the bar its first and last
    updates were made, in microseconds.
    """

    turn: int
    counted: int
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
    """Bars of one length in a Redis string: the bar that began `start` lengths after 1970 is in slot `start % slots`.

    Each is overwritten one turn later, so a ring trims itself, a repeated write changes nothing, and any part of it is
    one GETRANGE. `step` is the length in seconds.
    """

    prefix: str
    step: int
    slots: int

    @property
    def size(self) -> int:
        """Bytes of a whole ring."""
        return self.slots * _SLOT.size

    def key(self, symbol: str) -> str:
        return self.prefix + symbol

    def offset(self, start: int) -> int:
        """Where in the string the slot of a bar begins."""
        return start % self.slots * _SLOT.size

    def ranges(self, first: int, last: int) -> list[tuple[int, int]]:
        """First and last byte of what holds the bars from `first` to `last`, in their order: one range, or two.

        At most a whole ring of them, the last ones.
        """
        first = max(first, last - self.slots + 1)
        begin, end = self.offset(first), self.offset(last) + _SLOT.size - 1
        return [(begin, end)] if begin < end else [(begin, self.size - 1), (0, end)]

    def pack(self, start: int, figures: Sequence[float], moments: tuple[int, int], numbers: tuple[int, int]) -> bytes:
        """The slot of a bar: open, high, low, close, count; first and last microsecond in it, first and last seq_id."""
        return _SLOT.pack(start // self.slots, figures[4], *moments, *figures[:4], *numbers)

    def read(self, data: bytes, first: int, last: int) -> list[tuple[int, Slot]]:
        """Bars from `first` to `last` out of the bytes of their ranges, each with its start; slots of other turns and
        empty ones are left out, and what is cut short."""
        return [(start, Slot._make(raw)) for start, raw in self._slots(data, first, last)]

    def closes(self, data: bytes, first: int, last: int) -> list[float]:
        """The closing prices of the same bars, for those who draw many lines."""
        return [raw[7] for _, raw in self._slots(data, first, last)]

    def _slots(self, data: bytes, first: int, last: int) -> list[tuple[int, tuple[Any, ...]]]:
        first = max(first, last - self.slots + 1)
        whole = memoryview(data)[: len(data) // _SLOT.size * _SLOT.size]
        found = zip(range(first, last + 1), _SLOT.iter_unpack(whole), strict=False)
        return [(start, raw) for start, raw in found if raw[1] and raw[0] == start // self.slots]


SECONDS = BarRing("bars:1s:", 1, 600)
"""Ten minutes of seconds."""


MINUTES = BarRing("bars:1m:", 60, 1440)
"""A day of minutes."""
