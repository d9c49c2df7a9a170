"""Requests trades, bars and products from Coinbase Exchange over HTTP, and reads the responses.

Pure. Coinbase sends the newest trades and bars first.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

from feeds.sources.adapter import Request
from feeds.sources.decoding import (
    Number,
    ReportedError,
    SequenceNumber,
    Shape,
    UnixSeconds,
    decode_body,
    is_native,
    make_bar,
    make_numbered_trade,
    missed_sequences,
    read_time,
)
from feeds.sources.events import Bar, Trade

MAX_TRADES = 1000
MAX_BARS = 300


class _Error(msgspec.Struct, gc=False):
    message: str


class _TradeRow(msgspec.Struct, gc=False):
    trade_id: SequenceNumber
    price: Number
    size: Number
    time: str


class _BarRow(msgspec.Struct, array_like=True, gc=False):
    time: UnixSeconds
    low: Number
    high: Number
    open: Number
    close: Number
    volume: Number


class _Product(msgspec.Struct, gc=False):
    id: str = ""
    status: str | None = None
    trading_disabled: bool | None = None
    cancel_only: bool = False
    post_only: bool = False


_trade_rows: msgspec.json.Decoder[list[_TradeRow] | _Error] = msgspec.json.Decoder(list[_TradeRow] | _Error)
_bar_rows: msgspec.json.Decoder[list[_BarRow] | _Error] = msgspec.json.Decoder(list[_BarRow] | _Error)
_products: msgspec.json.Decoder[list[_Product] | _Error] = msgspec.json.Decoder(list[_Product] | _Error)


class CoinbaseHistory:
    """Makes the requests for Coinbase's HTTP service, and reads the responses."""

    def trades(self, native: str, after: Trade | None, until: Trade) -> Request | None:
        missed = missed_sequences(after, until)
        return _trades_request(native, missed.stop) if missed else None

    def read_trades(
        self, native: str, request: Request, body: bytes, after: Trade | None, until: Trade
    ) -> tuple[Sequence[Trade], Request | None]:
        """Returns a pair: the missed trades in a response (oldest first), and the request for older trades or None."""
        rows = _read(_trade_rows, body)
        missed = missed_sequences(after, until)
        trades = [
            _make_trade(native, row) for row in sorted(rows, key=lambda row: row.trade_id) if row.trade_id in missed
        ]
        oldest = min((row.trade_id for row in rows), default=0)
        if oldest <= missed.start or oldest >= int(request.parameters["after"]):
            return trades, None
        return trades, _trades_request(native, oldest)

    def bars(self, native: str, interval: int, start: int, end: int) -> Request:
        length = interval * 1_000_000
        return _bars_request(native, interval, start // length * length, end)

    def read_bars(
        self, native: str, request: Request, body: bytes, start: int, end: int
    ) -> tuple[Sequence[Bar], Request | None]:
        """Returns a pair: the bars in a response (oldest first), and the request for newer bars or None.

        A period without trades has no bar.
        """
        interval = int(request.parameters["granularity"])
        length = interval * 1_000_000
        bars = sorted(map(_make_bar, _read(_bar_rows, body)), key=lambda bar: bar.start)
        next_start = read_time(request.parameters["end"]) + length
        following = _bars_request(native, interval, next_start, end) if next_start + length <= end else None
        return [bar for bar in bars if start <= bar.start and bar.start + length <= end], following

    def instruments(self) -> Request | None:
        return Request("/products")

    def read_instruments(self, body: bytes) -> Mapping[str, bool]:
        return {
            product.id: is_traded(product.status, product.cancel_only, product.post_only, product.trading_disabled)
            for product in _read(_products, body)
            if is_native(product.id)
        }


def is_traded(status: str | None, cancel_only: bool, post_only: bool, is_disabled: bool | None = None) -> bool:
    """Returns whether a product is traded now."""
    return status == "online" and not (cancel_only or post_only or is_disabled)


def _read(decoder: "msgspec.json.Decoder[list[Shape] | _Error]", body: bytes) -> list[Shape]:
    decoded = decode_body(decoder, body)
    if isinstance(decoded, _Error):
        raise ReportedError(decoded.message)
    return decoded


def _trades_request(native: str, after: int) -> Request:
    """Returns the request for trades with ids below `after`."""
    return Request(f"/products/{quote(native, safe='')}/trades", {"after": str(after), "limit": str(MAX_TRADES)})


def _bars_request(native: str, interval: int, start: int, end: int) -> Request:
    """Returns the request for up to 300 bars from `start`."""
    length = interval * 1_000_000
    # Coinbase includes the bar that begins at the end of the request.
    last = min(start + (MAX_BARS - 1) * length, end)
    times = {"start": _write_time(start), "end": _write_time(last)}
    return Request(f"/products/{quote(native, safe='')}/candles", {"granularity": str(interval), **times})


def _write_time(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _make_trade(native: str, row: _TradeRow) -> Trade:
    return make_numbered_trade(native, row.trade_id, row.price, row.size, read_time(row.time), past=True)


def _make_bar(row: _BarRow) -> Bar:
    return make_bar(row.time, (row.open, row.high, row.low, row.close), row.volume, None)
