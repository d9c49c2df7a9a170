"""Requests missed trades and bars from Alpaca, and reads the responses.

Pure: no I/O. https://docs.alpaca.markets/reference/stockbars and /stocktrades describe the requests. The list of all
instruments is on another server, so `instruments` returns None.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar

import msgspec

from feeds.sources.adapter import BadMessage, Credentials, Request
from feeds.sources.decoding import decode_body, read_number, read_price, read_time
from feeds.sources.events import Bar, Trade

PAGE = 10_000
"""The greatest number of trades or bars in one response."""

MAX_LATE_US = 5_000_000
"""A request for missed trades begins this many microseconds before the last known trade.

The request then also finds missed trades that are up to five seconds older than the last known trade.
"""

TIMEFRAMES = {60: "1Min", 86_400: "1Day"}
TIMEFRAMES_US = {"1Min": 60_000_000, "1Day": 86_400_000_000}

Row = TypeVar("Row")

SETS_PRICE = frozenset("@ EFKOX56")
"""A trade may become the last price if all codes of its conditions are in this set.

Regular sales, opening prints and closing prints have these codes. Odd lots (I) and extended hours (T, U) do not.
"""

TAPE_C_SETS_PRICE = SETS_PRICE | frozenset("ABDSY1")
"""The set that replaces SETS_PRICE for Nasdaq shares (tape C).

Some of these codes have another meaning for other shares. For example, B means an average price for other shares.
"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WITHDRAWN = frozenset({"canceled", "incorrect"})


class TradeRow(msgspec.Struct):
    """A trade as Alpaca sends it, both in the stream and in the history.

    `update` is `canceled` or `incorrect` for a withdrawn trade, and empty for any other trade. Only the history sends
    `update`.
    """

    id: Annotated[int, msgspec.Meta(ge=0)] = msgspec.field(name="i")
    price: float = msgspec.field(name="p")
    size: float = msgspec.field(name="s")
    time: str = msgspec.field(name="t")
    exchange: Annotated[str, msgspec.Meta(max_length=8)] = msgspec.field(default="", name="x")
    conditions: list[str] | None = msgspec.field(default=None, name="c")
    tape: str = msgspec.field(default="", name="z")
    update: str = msgspec.field(default="", name="u")


class _Bar(msgspec.Struct):
    time: str = msgspec.field(name="t")
    open: float = msgspec.field(name="o")
    high: float = msgspec.field(name="h")
    low: float = msgspec.field(name="l")
    close: float = msgspec.field(name="c")
    volume: float = msgspec.field(name="v")
    count: Annotated[int, msgspec.Meta(ge=0)] | None = msgspec.field(default=None, name="n")


class _Trades(msgspec.Struct):
    trades: dict[str, list[TradeRow]] | None
    next_page_token: str | None = None


class _Bars(msgspec.Struct):
    bars: dict[str, list[_Bar]] | None
    next_page_token: str | None = None


_TRADES = msgspec.json.Decoder(_Trades)
_BARS = msgspec.json.Decoder(_Bars)


def read_trade(native: str, row: TradeRow, past: bool = False) -> Trade:
    """Makes a Trade from a row of Alpaca."""
    timestamp = read_time(row.time)
    # Alpaca's ids repeat. With exchange and time, they are unique.
    trade_id = f"{row.exchange}:{row.id}:{timestamp}"
    allowed = TAPE_C_SETS_PRICE if row.tape == "C" else SETS_PRICE
    sets_price = allowed.issuperset(row.conditions or ())
    price, size = read_price(row.price), read_number(row.size)
    return Trade(native, price, size, timestamp, trade_id, past=past, sets_price=sets_price)


def make_headers(credentials: Credentials) -> Mapping[str, str]:
    """Returns the HTTP headers that hold the credentials."""
    return {"APCA-API-KEY-ID": credentials.key, "APCA-API-SECRET-KEY": credentials.secret}


class AlpacaHistory:
    """Makes the requests for Alpaca's HTTP service, and reads the responses.

    `folder` is the path of an asset class, such as `/v2/stocks`. All requests have `parameters`. Requests for bars also
    have `more`. If `has_trades` is false, missed trades are not requested.
    """

    def __init__(
        self, folder: str, parameters: Mapping[str, str], more: Mapping[str, str], has_trades: bool = True
    ) -> None:
        self._folder = folder
        self._parameters = parameters
        self._more = more
        self._has_trades = has_trades

    def trades(self, native: str, after: Trade | None, until: Trade) -> Request | None:
        """Returns the first request for the trades between the known trades `after` and `until`.

        Returns None if `after` is None or `has_trades` is false.
        """
        if after is None or not self._has_trades:
            return None
        # A microsecond more, because `until` is cut off to whole microseconds.
        return self._request("trades", native, after.timestamp - MAX_LATE_US, until.timestamp + 1, {})

    def read_trades(
        self, native: str, request: Request, body: bytes, after: Trade | None, until: Trade
    ) -> tuple[Sequence[Trade], Request | None]:
        """Returns a pair: the missed trades in a response, and the request for the next page or None.

        Leaves out `after`, `until` and withdrawn trades. The caller may know some of the returned trades already.
        """
        response = decode_body(_TRADES, body)
        rows = [row for row in _rows(response.trades, native) if row.update not in _WITHDRAWN]
        trades = [read_trade(native, row, past=True) for row in rows]
        # A missed trade may be older than `after`.
        start, known = (after.timestamp - MAX_LATE_US, {after.id, until.id}) if after else (0, {until.id})
        found = [t for t in trades if start <= t.timestamp <= until.timestamp and t.id not in known]
        return found, _next_page(request, response.next_page_token)

    def bars(self, native: str, interval: int, start: int, end: int) -> Request:
        return self._request("bars", native, start, end - 1, {"timeframe": TIMEFRAMES[interval], **self._more})

    def read_bars(
        self, native: str, request: Request, body: bytes, start: int, end: int
    ) -> tuple[Sequence[Bar], Request | None]:
        """Returns a pair: the bars between `start` and `end`, and the request for the next page or None."""
        response = decode_body(_BARS, body)
        length = TIMEFRAMES_US[request.parameters["timeframe"]]
        bars = [_read_bar(row) for row in _rows(response.bars, native)]
        found = [bar for bar in bars if start <= bar.start and bar.start + length <= end]
        return found, _next_page(request, response.next_page_token)

    def instruments(self) -> Request | None:
        return None

    def read_instruments(self, body: bytes) -> Mapping[str, bool]:  # noqa: ARG002
        raise BadMessage("no list of instruments was asked for")

    def _request(self, kind: str, native: str, start: int, end: int, more: Mapping[str, str]) -> Request:
        span = {"symbols": native, "start": _write_time(start), "end": _write_time(end), "limit": str(PAGE)}
        return Request(f"{self._folder}/{kind}", {**span, **self._parameters, **more})


def _rows(rows: Mapping[str, list[Row]] | None, native: str) -> list[Row]:
    return (rows or {}).get(native, [])


def _read_bar(row: _Bar) -> Bar:
    first, high, low, last = map(read_price, (row.open, row.high, row.low, row.close))
    return Bar(read_time(row.time), first, high, low, last, read_number(row.volume), row.count)


def _next_page(request: Request, token: str | None) -> Request | None:
    if not token:
        return None
    if token == request.parameters.get("page_token"):
        raise BadMessage("a page names itself as the next page")
    return Request(request.path, {**request.parameters, "page_token": token})


def _write_time(timestamp: int) -> str:
    return (_EPOCH + timedelta(microseconds=timestamp)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
