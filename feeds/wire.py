"""What travels: the price update, its encoding in Kafka and Redis, and the names of keys and channels.

Pure: imports no framework and does no I/O. Other programs depend on every byte of updates, keys and channels: nothing
of them changes. What the recorder keeps is for our own pages.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from struct import Struct
from typing import Any, NamedTuple

import msgspec

from feeds.errors import BadRecord

STOCK_PREFIX = "stock:"
CHANNEL_PREFIX = "prices."
RATE_LIMIT_PREFIX = "ratelimit:"
LARGEST_VALUE = 64 * 1024
"""Bytes; a longer record is not a price update, whatever it says."""

LONGEST_SYMBOL = 15
SYMBOL = re.compile(r"[A-Z0-9^][A-Z0-9.\-^/=]{0,14}")
SYMBOL_WORDS = "1 to 15 of the characters A-Z 0-9 . - ^ / =, the first of them A-Z, 0-9 or ^"


class Update(msgspec.Struct, frozen=True, gc=False):
    """One price of one symbol.

    `price` is in the instrument's currency, `timestamp` in unix microseconds; `seq_id` grows by one per symbol.
    """

    symbol: str
    price: float
    timestamp: int
    seq_id: int

    @property
    def order(self) -> tuple[int, int]:
        """What decides which of two updates of a symbol is newer: the greater pair is, and an equal one is a repeat."""
        return self.timestamp, self.seq_id


MOST_MET = 1 << 16
_met: set[str] = set()
"""Symbols that were found fit, so many at most: to ask for one here costs a quarter of asking `is_symbol`."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Update).decode


def encode(update: Update) -> bytes:
    """`{"symbol":"AAPL","price":150.12,"timestamp":1766480000000000,"seq_id":42}`, in this order and without spaces."""
    return _encode(update)


def decode(value: bytes) -> Update:
    """Reads an update; keys beyond the four are accepted and ignored.

    Raises BadRecord when the bytes are not one: not UTF-8, not JSON, a key missing or of another type, a price that
    is not a finite number above zero, a symbol of another shape, a number that Redis could not compare exactly.
    """
    if len(value) > LARGEST_VALUE:
        raise BadRecord(f"the value has {len(value)} bytes, more than {LARGEST_VALUE}", "oversize")
    try:
        if not value.isascii():
            value.decode()  # the decoder does not look into keys that it ignores, and clients get all the bytes
        update = _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord(f"the value is not a price update: {_cause(error)}") from error
    if update.symbol not in _met:
        if not is_symbol(update.symbol):
            raise BadRecord(f"the symbol is not {SYMBOL_WORDS}", "symbol")
        if len(_met) < MOST_MET:
            _met.add(update.symbol)
    if not 0 < update.price < inf:
        raise BadRecord("the price is not a finite number above zero", "price")
    if not (0 <= update.timestamp < 2**53 and 0 <= update.seq_id < 2**53):
        raise BadRecord("timestamp or seq_id is not a whole number from 0 to 2^53", "order")
    return update


def _cause(error: Exception) -> str:
    """The decoder's words without what they quote of the value: log lines never carry a stranger's bytes."""
    if isinstance(error, msgspec.ValidationError):
        return str(error).split(" - ")[0].split(", got")[0]
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else "not JSON"


def is_symbol(text: str) -> bool:
    # The length comes first: it bounds what the cache can hold, and the cache spares the hot path a regular expression.
    return len(text) <= LONGEST_SYMBOL and _matches(text)


@lru_cache(maxsize=1 << 16)
def _matches(text: str) -> bool:
    return SYMBOL.fullmatch(text) is not None


def stock_key(symbol: str) -> str:
    """The Redis string that holds a symbol's newest update."""
    return STOCK_PREFIX + symbol


def channel_name(symbol: str) -> str:
    """The Redis channel, and the channel layer's group, of a symbol."""
    return CHANNEL_PREFIX + symbol


def channel_symbol(channel: str) -> str:
    """The symbol of a channel: all that follows the first dot, for symbols have dots of their own (`prices.BRK.B`)."""
    return channel[len(CHANNEL_PREFIX) :]


# --- What the recorder keeps in Redis --------------------------------------------------------------------------------

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
        raise BadRecord(f"the value is not a day: {_cause(error)}") from error


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
class Ring:
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


SECONDS = Ring("bars:1s:", 1, 600)
"""Ten minutes of seconds."""

MINUTES = Ring("bars:1m:", 60, 1440)
"""A day of minutes."""
