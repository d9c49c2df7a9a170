"""Defines how Redis stores bars, and joins the prices of bars. Pure.

A bar summarizes the prices of one symbol in one second, minute or day. The bar of a day is stored as JSON. Bars of
seconds and minutes are stored in rings. A ring is a Redis string with a fixed number of slots, and each new bar
overwrites the oldest bar.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Any, NamedTuple, Protocol

import msgspec

from feeds.errors import BadRecord
from feeds.source_names import SIMULATED
from feeds.wire import describe_decode_error

DAY_PREFIX = "day:"

VOLUME_UNIT = 1e-8
"""The unit of volumes. For example, the volume 150_000_000 stands for 1.5 shares or coins."""

MAX_VOLUME = 2**63 - 1
"""The greatest volume of a bar: 92 billion shares or coins."""


class BarPrices(Protocol):
    """The prices of a bar."""

    @property
    def open(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def close(self) -> float: ...


def join_prices(earlier: BarPrices, later: BarPrices) -> tuple[float, float, float, float]:
    """Returns the open, high, low and close of a bar that covers the time of both bars."""
    return earlier.open, max(earlier.high, later.high), min(earlier.low, later.low), later.close


class NewestDay(msgspec.Struct, frozen=True, gc=False):
    """The bar of a symbol's newest market day, stored as JSON in the Redis key `day:SYMBOL`.

    `day` is the date on which the market day begins, such as 2026-11-22. `previous_close` is the last price before the
    market day; None if there is no such price. `timestamp` (in unix microseconds) and `seq_id` belong to the update
    that set `close`. `volume` is in VOLUME_UNITs. `source` is the name of the source of the prices.
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
    volume: int = 0
    # The prices in the symbol's rings come from the same source.
    source: str = SIMULATED


def day_key(symbol: str) -> str:
    return DAY_PREFIX + symbol


_decode_day = msgspec.json.Decoder(NewestDay).decode


def decode_day(value: bytes) -> NewestDay:
    """Decodes the value of a `day:` key. Raises BadRecord if the value is no NewestDay."""
    try:
        return _decode_day(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRecord(f"the value is not a day: {describe_decode_error(error)}") from error


class Slot(NamedTuple):
    """One bar in a ring: 72 bytes, little-endian.

    `cycle` is the bar's number, divided by the number of slots and rounded down. BarRing says how bars are numbered.
    Bars that overwrite each other have different cycles. `update_count` is 0 in an empty slot. `first_us` and `last_us`
    are the times of the first and the last update, in microseconds from the start of the bar. `first_seq` and
    `last_seq` are the seq_ids of these two updates. `volume` is in VOLUME_UNITs.
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
    volume: int


_SLOT = Struct("<IIIIddddqqq")
KEPT_CLOSES = 1024
"""How many results of `_unpack_older_closes` are cached. A result for 60 bars takes 7 KB."""

_FIRST_SEQ_PLACE = 48
"""The position of the lowest byte of `first_seq` in a slot."""

_SLOT_CLOSE = "II32xd24x"
"""The `struct` format of a slot that reads only `cycle`, `update_count` and `close`."""

_NEWEST_CLOSE = Struct("<" + _SLOT_CLOSE)


@dataclass(frozen=True, slots=True)
class BarRing:
    """The layout of a ring: a Redis string that holds the newest bars of one symbol.

    `bar_seconds` is the length of a bar. The number of a bar is its start in unix seconds, divided by `bar_seconds`.
    Bar number `n` is written to slot `n % slots`, where it overwrites bar number `n - slots`.
    """

    prefix: str
    bar_seconds: int
    slots: int

    @property
    def size(self) -> int:
        """The length of a whole ring in bytes."""
        return self.slots * _SLOT.size

    def key(self, symbol: str) -> str:
        return self.prefix + symbol

    def offset(self, start: int) -> int:
        """Returns the position of bar number `start` in the ring, in bytes."""
        return start % self.slots * _SLOT.size

    def byte_ranges(self, first: int, last: int) -> list[tuple[int, int]]:
        """Returns where bar number `first` to bar number `last` are in the ring, as ranges of bytes, older bars first.

        A range is a pair: the positions of its first and its last byte. If there are more bars than slots, the oldest
        bars are left out.
        """
        first = max(first, last - self.slots + 1)
        begin, end = self.offset(first), self.offset(last) + _SLOT.size - 1
        # Bars that continue at the beginning of the ring need two ranges.
        return [(begin, end)] if begin < end else [(begin, self.size - 1), (0, end)]

    def pack(
        self,
        start: int,
        ohlc_count: Sequence[float],
        within_us: tuple[int, int],
        seq_ids: tuple[int, int],
        volume: int = 0,
    ) -> bytes:
        """Returns the bytes of the slot for bar number `start`.

        `ohlc_count` holds open, high, low, close and count. `within_us` holds the times of the first and the last
        update, in microseconds from the start of the bar. `seq_ids` holds the seq_ids of these two updates. `volume` is
        in VOLUME_UNITs.
        """
        return _SLOT.pack(start // self.slots, ohlc_count[4], *within_us, *ohlc_count[:4], *seq_ids, volume)

    def unpack(self, data: bytes, first: int, last: int) -> list[tuple[int, Slot]]:
        """Returns the bars from number `first` to number `last` as pairs of bar number and slot, oldest first.

        `data` holds the bytes at `byte_ranges(first, last)`, joined. Bars that the ring does not hold are left out.
        """
        return [(start, Slot._make(raw)) for start, raw in self._unpack_valid(data, first, last)]

    def unpack_closes(self, data: bytes, first: int, last: int) -> list[float]:
        """Returns only the closing prices of the bars that `unpack` returns. Several times as fast as `unpack`."""
        first = max(first, last - self.slots + 1)
        begin = (last - first) * _SLOT.size
        # Only the last bar changes until the next bar begins, so the closes of all other bars are cached.
        older = _unpack_older_closes(self.slots, _OlderSlots(data[:begin]), first)
        if len(data) >= begin + _SLOT.size:
            cycle, count, close = _NEWEST_CLOSE.unpack_from(data, begin)
            if count and cycle == last // self.slots:
                return [*older, close]
        return list(older)

    def _unpack_valid(self, data: bytes, first: int, last: int) -> list[tuple[int, tuple[Any, ...]]]:
        first = max(first, last - self.slots + 1)
        slots = zip(range(first, last + 1), _SLOT.iter_unpack(_cut_slots(data)), strict=False)
        return [(start, raw) for start, raw in slots if raw[1] and raw[0] == start // self.slots]


def _cut_slots(data: bytes) -> memoryview:
    """Returns `data` without an incomplete slot at the end."""
    return memoryview(data)[: len(data) // _SLOT.size * _SLOT.size]


class _OlderSlots(bytes):
    """The bytes of whole slots, as the key of a cache.

    Most bytes do not enter the hash. Hashing therefore takes half as long as with `bytes`.
    """

    __slots__ = ()

    def __hash__(self) -> int:
        return hash(self[_FIRST_SEQ_PLACE :: _SLOT.size])  # differs more often than the other bytes of a slot


@lru_cache(maxsize=KEPT_CLOSES)
def _unpack_older_closes(ring_slots: int, data: bytes, first: int) -> tuple[float, ...]:
    return tuple(_unpack_closes(ring_slots, data, first))


def _unpack_closes(ring_slots: int, data: bytes, first: int) -> list[float]:
    """Returns the closing prices in `data`. Skips empty slots, and slots that still hold an older bar.

    The first slot in `data` belongs to bar number `first`.
    """
    cycles, counts, closes = _split_slots(_cut_slots(data))
    if 0 not in counts and cycles.count(first // ring_slots) == len(cycles):
        return list(closes)  # the usual case
    numbered = zip(range(first, first + len(cycles)), cycles, counts, closes, strict=True)
    return [close for start, cycle, count, close in numbered if count and cycle == start // ring_slots]


def _split_slots(data: memoryview) -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]:
    """Returns the cycles, update counts and closing prices of the slots in `data`, as three tuples."""
    values = _closes_of(len(data) // _SLOT.size).unpack(data)
    return values[0::3], values[1::3], values[2::3]


@lru_cache(maxsize=64)
def _closes_of(slots: int) -> Struct:
    return Struct("<" + _SLOT_CLOSE * slots)


SECONDS = BarRing("ring:1s:", 1, 600)
"""The ring that holds the last ten minutes as one-second bars."""


MINUTES = BarRing("ring:1m:", 60, 1440)
"""The ring that holds the last 24 hours as one-minute bars."""
