"""Requests missed trades, bars and the list of symbols from Binance, and reads the responses.

Pure: no I/O. https://developers.binance.com/docs/binance-spot-api-docs/rest-api describes the requests.
"""

from collections.abc import Mapping, Sequence

import msgspec

from feeds.sources.adapter import BadMessage, Request
from feeds.sources.decoding import (
    SequenceNumber,
    check_timestamp,
    decode_body,
    make_numbered_trade,
    missed_sequences,
    read_number,
    read_price,
)
from feeds.sources.events import Bar, Trade

PAGE = 1000
"""The greatest number of trades or bars in one response."""

INTERVALS = {60: "1m", 86_400: "1d"}
INTERVALS_US = {"1m": 60_000_000, "1d": 86_400_000_000}
MICROSECONDS = {"X-MBX-TIME-UNIT": "MICROSECOND"}


class _Trade(msgspec.Struct):
    id: SequenceNumber
    price: str
    qty: str
    time: int


class _Kline(msgspec.Struct, array_like=True):
    """A bar, which Binance calls a kline and sends as an array."""

    start: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    end: int
    quote_volume: str
    count: SequenceNumber


class _Instrument(msgspec.Struct):
    symbol: str
    status: str
    is_spot: bool = msgspec.field(default=True, name="isSpotTradingAllowed")


class _ExchangeInfo(msgspec.Struct):
    symbols: list[_Instrument]


_TRADES = msgspec.json.Decoder(list[_Trade])
_KLINES = msgspec.json.Decoder(list[_Kline])
_EXCHANGE_INFO = msgspec.json.Decoder(_ExchangeInfo)


def read_timestamp(number: int) -> int:
    """Converts unix milliseconds to unix microseconds. Unix microseconds stay the same."""
    # Binance sends microseconds only if the request asks for this unit. A proxy may lose this part of the request.
    return check_timestamp(number * 1000 if number < 10**14 else number)


class BinanceHistory:
    """Makes the requests for Binance's HTTP service, and reads the responses."""

    def trades(self, native: str, after: Trade | None, until: Trade) -> Request | None:
        """Returns the first request for the trades between the known trades `after` and `until`.

        Returns None if the sequence numbers of the two trades show no gap.
        """
        missed = missed_sequences(after, until)
        return _trades_request(native, missed.start) if missed else None

    def read_trades(
        self, native: str, request: Request, body: bytes, after: Trade | None, until: Trade
    ) -> tuple[Sequence[Trade], Request | None]:
        missed = missed_sequences(after, until)
        trades = [_trade(native, row) for row in decode_body(_TRADES, body)]
        last = max((int(trade.id) for trade in trades), default=-1)
        # If all trades are older than `fromId`, a next request would not begin later. The requests would never end.
        is_complete = last < int(request.parameters["fromId"]) or last + 1 not in missed
        found = [trade for trade in trades if trade.sequence in missed]
        return found, None if is_complete else _trades_request(native, last + 1)

    def bars(self, native: str, interval: int, start: int, end: int) -> Request:
        parameters = {
            "symbol": native,
            "interval": INTERVALS[interval],
            "startTime": str(start // 1000),
            "endTime": str((end - 1) // 1000),
            "limit": str(PAGE),
        }
        return Request("/api/v3/klines", parameters)

    def read_bars(
        self,
        native: str,  # noqa: ARG002
        request: Request,
        body: bytes,
        start: int,
        end: int,
    ) -> tuple[Sequence[Bar], Request | None]:
        """Returns a pair: the bars between `start` and `end`, and the next request or None."""
        rows = decode_body(_KLINES, body)
        bars = [_bar(row) for row in rows if read_timestamp(row.end) < end]
        found = [bar for bar in bars if bar.start >= start]
        last = read_timestamp(rows[-1].start) if len(rows) >= PAGE else 0
        if last // 1000 < int(request.parameters["startTime"]):
            return found, None
        next_start = last + INTERVALS_US[request.parameters["interval"]]
        return found, Request(request.path, {**request.parameters, "startTime": str(next_start // 1000)})

    def instruments(self) -> Request | None:
        # The sets of permissions are most of the response, and unknown to us.
        return Request("/api/v3/exchangeInfo", {"showPermissionSets": "false"})

    def read_instruments(self, body: bytes) -> Mapping[str, bool]:
        """Returns a dict from native symbol to a bool: whether the symbol is traded now.

        Leaves out symbols that are not ASCII. Raises BadMessage if the list of symbols is empty.
        """
        symbols = decode_body(_EXCHANGE_INFO, body).symbols
        if not symbols:
            raise BadMessage("the list of symbols is empty")
        return {row.symbol: row.status == "TRADING" and row.is_spot for row in symbols if row.symbol.isascii()}


def _trades_request(native: str, first: int) -> Request:
    parameters = {"symbol": native, "fromId": str(first), "limit": str(PAGE)}
    return Request("/api/v3/historicalTrades", parameters, MICROSECONDS)


def _trade(native: str, row: _Trade) -> Trade:
    return make_numbered_trade(native, row.id, row.price, row.qty, read_timestamp(row.time), past=True)


def _bar(row: _Kline) -> Bar:
    first, high, low, last = map(read_price, (row.open, row.high, row.low, row.close))
    return Bar(read_timestamp(row.start), first, high, low, last, read_number(row.volume), row.count)
