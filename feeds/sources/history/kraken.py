"""Requests trades, bars and pairs from Kraken over HTTP, and reads the responses.

Pure. Over HTTP, a pair has another name than in the WebSocket protocol: `XBTUSD` or `XXBTZUSD` for `BTC/USD`.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from feeds.sources.adapter import BadMessage, Request
from feeds.sources.decoding import (
    Number,
    ReportedError,
    SequenceNumber,
    UnixSeconds,
    decode_body,
    is_native,
    make_bar,
    make_numbered_trade,
    missed_sequences,
    read_seconds,
)
from feeds.sources.events import Bar, Trade

MAX_ROWS = 1000
MARGIN_US = 10_000_000
"""How many microseconds before the last known trade a request begins.

The request then also finds trades whose times are out of order.
"""

OLD_ASSETS = {"BTC": "XBT", "DOGE": "XDG"}
"""A dict from our name of an asset to another name, which Kraken uses in requests over HTTP."""

NEW_ASSETS = {old: new for new, old in OLD_ASSETS.items()}
TRADED = frozenset({"online", "limit_only", "reduce_only"})


class _Body(msgspec.Struct, gc=False):
    error: list[str] = []
    result: dict[str, msgspec.Raw] = {}


class _TradeRow(msgspec.Struct, array_like=True, gc=False):
    price: Number
    volume: Number
    time: Decimal
    side: str
    order_type: str
    miscellaneous: str
    trade_id: SequenceNumber


class _BarRow(msgspec.Struct, array_like=True, gc=False):
    time: UnixSeconds
    open: Number
    high: Number
    low: Number
    close: Number
    average: Number
    volume: Number
    count: SequenceNumber


class _Pair(msgspec.Struct, gc=False):
    wsname: str = ""
    status: str = ""


_bodies = msgspec.json.Decoder(_Body)
_trade_rows = msgspec.json.Decoder(list[_TradeRow])
_bar_rows = msgspec.json.Decoder(list[_BarRow])
_pairs = msgspec.json.Decoder(_Pair)
_last = msgspec.json.Decoder(str | int)


class KrakenHistory:
    """Makes the requests for Kraken's HTTP service, and reads the responses. Kraken offers only the newest 720 bars."""

    def trades(self, native: str, after: Trade | None, until: Trade) -> Request | None:
        if after is None or not missed_sequences(after, until):
            return None
        return _trades_request(native, max(after.timestamp - MARGIN_US, 0) * 1000)

    def read_trades(
        self, native: str, request: Request, body: bytes, after: Trade | None, until: Trade
    ) -> tuple[Sequence[Trade], Request | None]:
        """Returns a pair: the missed trades in a response (oldest first), and the next request or None.

        Two responses may contain the same trade.
        """
        result = _read_result(body)
        missed = missed_sequences(after, until)
        rows = decode_body(_trade_rows, _rows(result))
        trades = [_make_trade(native, row) for row in rows if row.trade_id in missed]
        since = _read_last(result) - 1  # other trades can have the time of the last row
        is_complete = len(trades) == len(missed) or len(rows) < MAX_ROWS or since <= int(request.parameters["since"])
        if is_complete or read_seconds(rows[-1].time) > until.timestamp + MARGIN_US:
            return _in_order(trades), None
        return _in_order(trades), _trades_request(native, since)

    def bars(self, native: str, interval: int, start: int, end: int) -> Request:  # noqa: ARG002
        """Returns the request for bars from `start` to now. A request to Kraken cannot have an end."""
        # The bar that begins at `since` is left out, so `since` is a second earlier.
        since = max(start // 1_000_000 - 1, 0)
        parameters = {"pair": pair_name(native), "interval": str(interval // 60), "since": str(since)}
        return Request("/0/public/OHLC", parameters)

    def read_bars(
        self, _native: str, request: Request, body: bytes, start: int, end: int
    ) -> tuple[Sequence[Bar], Request | None]:
        """Returns a pair: the finished bars between `start` and `end` (oldest first), and None for no next request.

        Leaves out bars without a trade.
        """
        length = int(request.parameters["interval"]) * 60_000_000
        rows = decode_body(_bar_rows, _rows(_read_result(body)))
        closed = rows[:-1]  # the last row is the unfinished bar
        bars = [_make_bar(row) for row in closed if row.count]
        return [bar for bar in bars if start <= bar.start and bar.start + length <= end], None

    def instruments(self) -> Request | None:
        return Request("/0/public/AssetPairs")

    def read_instruments(self, body: bytes) -> Mapping[str, bool]:
        pairs = [decode_body(_pairs, raw) for raw in _read_result(body).values()]
        return {native_name(pair.wsname): pair.status in TRADED for pair in pairs if is_native(pair.wsname)}


def pair_name(native: str) -> str:
    """Returns the name of a pair in requests: `XBTUSD` for `BTC/USD`."""
    return "".join(OLD_ASSETS.get(asset, asset) for asset in native.split("/"))


def native_name(pair: str) -> str:
    """Returns the native symbol for a name in the list of pairs: `BTC/USD` for `XBT/USD`."""
    return "/".join(NEW_ASSETS.get(asset, asset) for asset in pair.split("/"))


def _trades_request(native: str, since: int) -> Request:
    """Returns the request for trades after `since`, in unix nanoseconds."""
    return Request("/0/public/Trades", {"pair": pair_name(native), "since": str(since), "count": str(MAX_ROWS)})


def _read_result(body: bytes) -> dict[str, msgspec.Raw]:
    decoded = decode_body(_bodies, body)
    # Kraken sends errors with the HTTP status 200.
    errors = [error for error in decoded.error if not error.startswith("W")]  # W is a warning
    if errors:
        raise ReportedError(", ".join(errors))
    return decoded.result


def _rows(result: Mapping[str, msgspec.Raw]) -> bytes:
    """Returns the JSON text of the rows in a response such as `{"XXBTZUSD": [rows], "last": …}`.

    Raises BadMessage if the response has the rows of no pair or of several pairs.
    """
    # Kraken has several names for a pair, so the key is not checked.
    rows = [raw for name, raw in result.items() if name != "last"]
    if len(rows) != 1:
        raise BadMessage("the response has not the rows of one pair")
    return rows[0]


def _read_last(result: Mapping[str, msgspec.Raw]) -> int:
    """Returns the time of the last trade in a response, in unix nanoseconds, or 0 if the time is missing."""
    last = str(decode_body(_last, result.get("last", b"0")))
    if not (last.isascii() and last.isdecimal() and len(last) < 20):
        raise BadMessage("the time of the last row is not in unix nanoseconds")
    return int(last)


def _make_trade(native: str, row: _TradeRow) -> Trade:
    return make_numbered_trade(native, row.trade_id, row.price, row.volume, read_seconds(row.time), past=True)


def _make_bar(row: _BarRow) -> Bar:
    return make_bar(row.time, (row.open, row.high, row.low, row.close), row.volume, row.count)


def _in_order(trades: list[Trade]) -> Sequence[Trade]:
    return sorted(trades, key=lambda trade: int(trade.id))
