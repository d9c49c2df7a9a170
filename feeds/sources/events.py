"""Defines the events that an adapter reports: trades, acknowledgements, states and failures.

Pure. A native symbol is the name that the source gives an instrument, such as `BTC-USD` for `BTC/USD`.
"""

from enum import Enum

import msgspec


class SourceState(Enum):
    """The state of a source as a whole."""

    CONNECTED = "connected"
    SILENT = "silent"
    RECONNECTING = "reconnecting"
    REFUSED = "refused"
    MAINTENANCE = "maintenance"


class SymbolState(Enum):
    """The state of one symbol at its source."""

    TRADING = "trading"
    CLOSED = "closed"
    HALTED = "halted"
    UNKNOWN = "unknown"


class Trade(msgspec.Struct, frozen=True, gc=False):
    """One trade at the source.

    `price` is in the instrument's currency, `size` in units of the instrument. `timestamp` is the time of the trade at
    the exchange, in unix microseconds. `id` is unique among the trades of the symbol. `sequence` grows by one with each
    trade of the symbol, or is None. `past` is true for a trade from a snapshot or from an HTTP response. `sets_price`
    is false for a trade that must not become the last price, such as an odd lot.
    """

    native: str
    price: float
    size: float
    timestamp: int
    id: str
    sequence: int | None = None
    past: bool = False
    sets_price: bool = True


class BestPrices(msgspec.Struct, frozen=True, gc=False):
    """The best bid and ask of a symbol.

    `timestamp` is in unix microseconds, or 0 if the source sends no time.
    """

    native: str
    bid: float
    ask: float
    timestamp: int = 0


class Ready(msgspec.Struct, frozen=True, gc=False):
    """The source accepts subscriptions from now on."""


class Subscribed(msgspec.Struct, frozen=True, gc=False):
    """The source acknowledged these native symbols on this connection."""

    natives: tuple[str, ...]


class SymbolRefused(msgspec.Struct, frozen=True, gc=False):
    """A subscription was refused. `reason` says why, as a short printable text."""

    native: str
    reason: str


class Heartbeat(msgspec.Struct, frozen=True, gc=False):
    """The source is alive."""


class LatestSequence(msgspec.Struct, frozen=True, gc=False):
    """The source names the sequence number of a symbol's newest trade."""

    native: str
    sequence: int


class SourceStatus(msgspec.Struct, frozen=True, gc=False):
    """The source says that its own state changed. `reason` is a short printable text."""

    state: SourceState
    reason: str = ""


class SymbolStatus(msgspec.Struct, frozen=True, gc=False):
    """The source says that the state of a symbol changed."""

    native: str
    state: SymbolState


class GoingAway(msgspec.Struct, frozen=True, gc=False):
    """The source will close the connection soon, so a new connection is needed now."""


class Failure(msgspec.Struct, frozen=True, gc=False):
    """The source reports an error that concerns the whole connection.

    `permanent` is true if no retry helps, for example if the credentials are wrong. `wait` is the least number of
    seconds before the next connection.
    """

    reason: str
    permanent: bool = False
    wait: float = 0.0


Event = (
    Trade
    | BestPrices
    | Ready
    | Subscribed
    | SymbolRefused
    | Heartbeat
    | LatestSequence
    | SourceStatus
    | SymbolStatus
    | GoingAway
    | Failure
)


class Bar(msgspec.Struct, frozen=True, gc=False):
    """A finished bar from the source's history.

    `start` is the first moment of the bar in unix microseconds. `volume` is in units of the instrument. `count` is the
    number of trades, or None if the source does not send this number.
    """

    start: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    count: int | None = None
