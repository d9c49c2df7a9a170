"""What travels: the price update, its encoding in Kafka and Redis, and the names of keys and channels.

Pure: imports no framework and does no I/O. Other programs depend on every byte of updates, keys and channels: nothing
of them changes. What the recorder keeps is for our own pages.
"""

from math import inf

import msgspec

from feeds.errors import BadRecord
from feeds.symbols import SYMBOL_WORDS, is_symbol

STOCK_PREFIX = "stock:"
CHANNEL_PREFIX = "prices."
RATE_LIMIT_PREFIX = "ratelimit:"
LARGEST_VALUE = 64 * 1024
"""Bytes; a longer record is not a price update, whatever it says."""


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
        raise BadRecord(f"the value is not a price update: {decode_failure(error)}") from error
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


def decode_failure(error: Exception) -> str:
    """The decoder's words without what they quote of the value: log lines never carry a stranger's bytes."""
    if isinstance(error, msgspec.ValidationError):
        return str(error).split(" - ")[0].split(", got")[0]
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else "not JSON"


def stock_key(symbol: str) -> str:
    """The Redis string that holds a symbol's newest update."""
    return STOCK_PREFIX + symbol


def channel_name(symbol: str) -> str:
    """The Redis channel, and the channel layer's group, of a symbol."""
    return CHANNEL_PREFIX + symbol


def channel_symbol(channel: str) -> str:
    """The symbol of a channel: all that follows the first dot, for symbols have dots of their own (`prices.BRK.B`)."""
    return channel[len(CHANNEL_PREFIX) :]
