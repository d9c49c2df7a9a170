"""Defines the price update, its encoding, and the names of Redis keys and channels.

Pure: no framework, no I/O. Kafka and Redis hold updates in the same encoding. Other programs depend on every byte of
updates, keys and channel names, so no byte may change.
"""

import json
from math import inf
from typing import Annotated

import msgspec
from msgspec import Meta

from feeds.errors import BadRecord
from feeds.symbols import SYMBOL_RULE, is_symbol

STOCK_PREFIX = "stock:"
CHANNEL_PREFIX = "prices."
RATE_LIMIT_PREFIX = "ratelimit:"
MAX_VALUE_BYTES = 64 * 1024
"""The largest size of an update in bytes."""

MAX_NUMBER = 2**53
"""Timestamps and seq_ids are below this number. Lua and JavaScript compare greater numbers inexactly."""

MIN_TIMESTAMP = 10**15
"""September 2001. A smaller timestamp is in another unit than microseconds."""

# Without this limit, one update with a wrong timestamp would make all later updates of the symbol stale.
MAX_AHEAD_US = 5 * 60 * 1_000_000
"""How far a timestamp may be ahead of our clock, in microseconds. An update that is further ahead is refused."""

DAY_US = 24 * 60 * 60 * 1_000_000
"""One day in microseconds.

A stored update that is more than a day ahead of the clock is wrong, and any valid update replaces it.
`write_if_newer.lua` has the same rule.
"""


_Positive = Annotated[float, Meta(gt=0)]
"""A number above zero. The decoder refuses infinite numbers."""

_Timestamp = Annotated[int, Meta(ge=MIN_TIMESTAMP)]
_SeqId = Annotated[int, Meta(ge=0, lt=MAX_NUMBER)]


class Update(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """One price of one symbol.

    `price` is in the instrument's currency. `timestamp` is in unix microseconds. `seq_id` grows by one with each update
    of the symbol. `size` is the size of the trade in shares or coins. `bid` and `ask` are the best prices of buyers and
    sellers.

    An unknown `size`, `bid` or `ask` is 0. Only the decoder checks the limits of numbers.
    """

    symbol: str
    price: _Positive
    timestamp: _Timestamp
    seq_id: _SeqId
    size: _Positive = 0.0
    bid: _Positive = 0.0
    ask: _Positive = 0.0

    @property
    def order(self) -> tuple[int, int]:
        """The pair (timestamp, seq_id) of this update. A newer update of the symbol has a greater pair."""
        return self.timestamp, self.seq_id


class _ForeignUpdate(msgspec.Struct, gc=False):
    """An update that may have unknown keys. Only the key `type` is refused."""

    symbol: str
    price: float
    timestamp: int
    seq_id: int
    type: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    size: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    bid: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    ask: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


REQUIRED_KEYS = ("symbol", "price", "timestamp", "seq_id")
REQUIRED_COMMAS = len(REQUIRED_KEYS) - 1
"""The number of commas in an update with only the required keys. No symbol contains a comma."""

ALL_COMMAS = REQUIRED_COMMAS + 3
"""The number of commas in an update that also has `size`, `bid` and `ask`."""

MAX_KNOWN_SYMBOLS = 1 << 16
DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_known_symbols: set[str] = set()
"""The symbols that `is_symbol` has accepted. A look-up here is faster than an `is_symbol` call."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Update).decode
_decode_number = msgspec.json.Decoder(float).decode
_decode_foreign = msgspec.json.Decoder(_ForeignUpdate).decode


def encode(update: Update) -> bytes:
    """Returns an update as JSON without spaces.

    An example is `{"symbol":"AAPL","price":150.12,"timestamp":1766480000000000,"seq_id":42}`.
    """
    return _encode(update)


def latest_timestamp(now: int) -> int:
    """Returns the greatest timestamp that is accepted at the time `now`. Both are in unix microseconds."""
    return now + MAX_AHEAD_US


def age_us(timestamp: int, now: int) -> int | None:
    """Returns the age of an update in microseconds, or None if the update's timestamp is later than `now`."""
    return now - timestamp if timestamp <= now else None


def decode(value: bytes, latest: int = MAX_NUMBER - 1) -> Update:
    """Decodes an update from Kafka or Redis. `latest` is the greatest accepted timestamp.

    Ignores unknown keys. Ignores a `size`, `bid` or `ask` that is not a finite number above zero. Raises BadRecord for
    each of these:

    - a value that is too long, not UTF-8 or not JSON;
    - a required key that is missing, repeated or of another type;
    - a symbol that breaks the rule for symbols;
    - a price that is infinite, zero or negative;
    - a timestamp or seq_id that is negative or not below 2^53;
    - a timestamp below 10^15, which cannot be in microseconds;
    - a timestamp later than `latest`;
    - a key `type`.
    """
    if len(value) > MAX_VALUE_BYTES:
        raise BadRecord(f"the value has {len(value)} bytes, more than {MAX_VALUE_BYTES}", "oversize")
    try:
        update = _decode(value)
    except DECODE_ERRORS as error:
        return _decode_other(value, latest, error)
    # The decoder knows every key here, so the number of commas shows whether a key is repeated.
    commas = value.count(b",")
    if not (
        commas == REQUIRED_COMMAS
        or (commas == ALL_COMMAS and update.size and update.bid and update.ask)
        or commas == REQUIRED_COMMAS + _count_trade_keys(update)
    ):
        return _decode_other(value, latest)
    if update.symbol not in _known_symbols:
        _check_symbol(update.symbol)
    if update.timestamp > latest:
        raise _refuse_order(update)
    return update


def _check_symbol(symbol: str) -> None:
    if not is_symbol(symbol):
        raise BadRecord(f"the symbol is not {SYMBOL_RULE}", "symbol")
    if len(_known_symbols) < MAX_KNOWN_SYMBOLS:
        _known_symbols.add(symbol)


def _count_trade_keys(update: Update) -> int:
    """Returns how many of `size`, `bid` and `ask` a decoded update has."""
    return (update.size > 0) + (update.bid > 0) + (update.ask > 0)


def _decode_other(value: bytes, latest: int, error: Exception | None = None) -> Update:
    """Decodes an update that `_decode` refused, or that may have repeated keys.

    `error` is the error of `_decode`, or None. Raises BadRecord if the value is not a valid update.
    """
    update = _decode_keys(value, error)
    _check_symbol(update.symbol)
    if not 0 < update.price < inf:
        raise BadRecord("the price is not a finite number above zero", "price")
    if not (MIN_TIMESTAMP <= update.timestamp <= latest and 0 <= update.seq_id < MAX_NUMBER):
        raise _refuse_order(update)
    return update


def _decode_keys(value: bytes, error: Exception | None) -> Update:
    """Decodes an update, also with unknown keys. Does not check the limits of the numbers.

    `error` is the error of the faster decoder `_decode`, or None. Raises BadRecord if the value is not JSON, or if a
    required key is missing, repeated or of another type.
    """
    try:
        if not value.isascii():
            value.decode()  # `_decode_foreign` does not check ignored keys, but clients get the whole value
        if error is not None and not isinstance(error, msgspec.ValidationError):
            raise error
        update = _decode_foreign(value)
    except DECODE_ERRORS as reason:
        raise BadRecord(f"the value is not a price update: {describe_decode_error(reason)}") from reason
    if update.type is not msgspec.UNSET:
        raise BadRecord("the value has a key `type`, by which clients tell other frames of `/ws` from updates")
    if _repeats_a_key(value):
        raise BadRecord("the value repeats a key, so that programs would read different numbers")
    numbers = (_read_number(update.size), _read_number(update.bid), _read_number(update.ask))
    return Update(update.symbol, update.price, update.timestamp, update.seq_id, *numbers)


def _read_number(raw: msgspec.Raw | msgspec.UnsetType) -> float:
    """Returns the number in a piece of JSON, or 0 if the piece is not a finite number above zero."""
    try:
        number = 0.0 if raw is msgspec.UNSET else _decode_number(raw)
    except DECODE_ERRORS:
        return 0.0
    return number if 0 < number < inf else 0.0


def _repeats_a_key(value: bytes) -> bool:
    """Returns whether a JSON object has one of the required keys more than once."""
    count = value.count
    if (
        count(b'"symbol"') == count(b'"price"') == count(b'"timestamp"') == count(b'"seq_id"') == 1
        and b"\\" not in value
    ):
        return False  # the usual case
    pairs: list[list[tuple[str, object]]] = []
    json.loads(value, object_pairs_hook=pairs.append)
    keys = [key for key, _ in pairs[-1]]  # the outer object comes last
    return any(keys.count(key) > 1 for key in REQUIRED_KEYS)


def _refuse_order(update: Update) -> BadRecord:
    timestamp, minutes = update.timestamp, MAX_AHEAD_US // 60_000_000
    if not (0 <= timestamp < MAX_NUMBER and 0 <= update.seq_id < MAX_NUMBER):
        return BadRecord("timestamp or seq_id is not a whole number from 0 to 2^53", "order")
    if timestamp < MIN_TIMESTAMP:
        return BadRecord(f"the timestamp {timestamp} is below 10^15: send unix microseconds", "timestamp")
    return BadRecord(
        f"the timestamp {timestamp} is more than {minutes} minutes ahead: "
        "correct the clock of the producer or of this machine",
        "timestamp",
    )


def describe_decode_error(error: Exception) -> str:
    """Returns the reason why a value could not be decoded, without any text of the value."""
    if isinstance(error, msgspec.ValidationError):
        return str(error).split(" - ")[0].split(", got")[0]
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else "not JSON"


def stock_key(symbol: str) -> str:
    """Returns the Redis key of a symbol's quote."""
    return STOCK_PREFIX + symbol


def channel_name(symbol: str) -> str:
    """Returns the name of a symbol's Redis channel. The group in the channel layer has the same name."""
    return CHANNEL_PREFIX + symbol


def channel_symbol(channel: str) -> str:
    """Returns the symbol of a channel: `BRK.B` for `prices.BRK.B`."""
    return channel[len(CHANNEL_PREFIX) :]
