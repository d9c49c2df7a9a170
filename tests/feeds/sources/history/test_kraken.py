import json
from typing import Any

import pytest

from feeds.sources.adapter import BadMessage, Request
from feeds.sources.decoding import ReportedError
from feeds.sources.events import Bar, Trade
from feeds.sources.history.kraken import native_name, pair_name
from feeds.sources.kraken import KRAKEN

HISTORY = KRAKEN.history
SECOND = 1_772_437_740
"""A time in unix seconds at which a minute begins."""

AT = SECOND * 1_000_000


def trade(sequence: int | None, timestamp: int = AT, identity: str | None = None) -> Trade:
    return Trade("BTC/USD", 1.0, 1.0, timestamp, identity or str(sequence), sequence)


def trade_row(sequence: int, seconds: float = SECOND, price: str = "97120.10000") -> list[Any]:
    return [price, "0.00500000", seconds, "s", "l", "", sequence]


def body(rows: object, last: object = "1772437740000000000", **more: object) -> bytes:
    return json.dumps({"error": [], "result": {"XXBTZUSD": rows, "last": last}, **more}).encode()


def bar_row(start: int, count: int = 3, volume: str = "0.5") -> list[Any]:
    return [start, "10.0", "12.0", "9.0", "11.0", "10.5", volume, count]


def first_request(after: Trade, until: Trade) -> Request:
    request = HISTORY.trades("BTC/USD", after, until)
    assert request is not None
    return request


@pytest.mark.parametrize(
    ("native", "pair", "wsname"),
    [
        ("BTC/USD", "XBTUSD", "XBT/USD"),
        ("DOGE/BTC", "XDGXBT", "XDG/XBT"),
        ("ETH/USD", "ETHUSD", "ETH/USD"),
        ("USDT/EUR", "USDTEUR", "USDT/EUR"),
    ],
)
def test_pairs_have_other_names_over_http(native: str, pair: str, wsname: str):
    assert pair_name(native) == pair
    assert native_name(wsname) == native


def test_missed_trades_are_requested_from_before_the_last_known_one():
    request = first_request(trade(5), trade(9))
    assert request.path == "/0/public/Trades"
    assert request.parameters == {"pair": "XBTUSD", "since": str((SECOND - 10) * 10**9), "count": "1000"}
    assert first_request(trade(5, timestamp=5), trade(9)).parameters["since"] == "0"


@pytest.mark.parametrize(
    ("after", "until"),
    [(None, trade(9)), (trade(8), trade(9)), (trade(9), trade(5)), (trade(None, identity="x"), trade(9))],
)
def test_nothing_is_requested_if_nothing_is_known_to_be_missing(after: Trade | None, until: Trade):
    assert HISTORY.trades("BTC/USD", after, until) is None


def test_a_trade_that_was_read_back_has_its_sequence_in_its_id():
    assert HISTORY.trades("BTC/USD", trade(None, identity="5"), trade(9)) is not None


def test_missed_trades_are_found_by_their_ids():
    after, until = trade(5), trade(9)
    rows = [trade_row(4), trade_row(7), trade_row(6, 1772437740.1234567), trade_row(9), trade_row(10), trade_row(8)]
    trades, following = HISTORY.read_trades("BTC/USD", first_request(after, until), body(rows), after, until)
    assert following is None
    assert [each.sequence for each in trades] == [6, 7, 8]
    assert trades[0] == Trade("BTC/USD", 97120.1, 0.005, AT + 123456, "6", 6, past=True)


def test_a_full_page_is_followed_by_the_next_one():
    after, until = trade(0), trade(3000, AT + 60_000_000)
    request = first_request(after, until)
    full = [trade_row(number, SECOND + 1) for number in range(1, 1001)]
    trades, following = HISTORY.read_trades("BTC/USD", request, body(full, "1772437741000000000"), after, until)
    assert len(trades) == 1000
    assert following == Request("/0/public/Trades", {"pair": "XBTUSD", "since": "1772437740999999999", "count": "1000"})


@pytest.mark.parametrize(
    ("rows", "last"),
    [
        ([trade_row(number) for number in range(1, 1000)], "1772437741000000000"),  # not full
        ([trade_row(number) for number in range(1, 1001)], "1772437730000000000"),  # no progress
        ([trade_row(number) for number in range(1, 1001)], None),  # no time of the last row
        ([trade_row(number, SECOND + 100) for number in range(1, 1001)], "1772437840000000000"),  # far behind the gap
        ([trade_row(number) for number in range(2, 3001)], "1772437741000000000"),  # all found
    ],
)
def test_the_last_page_has_no_next_one(rows: list[Any], last: str | None):
    after, until = trade(1 if len(rows) > 1000 else 0), trade(3001)
    content = body(rows, last) if last else json.dumps({"error": [], "result": {"XXBTZUSD": rows}}).encode()
    trades, following = HISTORY.read_trades("BTC/USD", first_request(after, until), content, after, until)
    assert following is None
    assert len(trades) == len(rows)


def test_a_response_without_trades_is_the_last_one():
    after, until = trade(5), trade(9)
    request = first_request(after, until)
    assert HISTORY.read_trades("BTC/USD", request, body([], "0"), after, until) == ([], None)


def test_bars_are_requested_from_their_start():
    minutes = HISTORY.bars("BTC/USD", 60, AT, AT + 60_000_000)
    assert minutes.path == "/0/public/OHLC"
    assert minutes.parameters == {"pair": "XBTUSD", "interval": "1", "since": str(SECOND - 1)}
    assert HISTORY.bars("BTC/USD", 86_400, 0, AT).parameters == {"pair": "XBTUSD", "interval": "1440", "since": "0"}


def test_only_closed_bars_with_trades_in_the_range_are_read():
    starts = [SECOND - 60, SECOND, SECOND + 60, SECOND + 120, SECOND + 180, SECOND + 240]
    rows = [bar_row(start, count=0 if start == SECOND + 60 else 3) for start in starts]
    end = AT + 240_000_000
    request = HISTORY.bars("BTC/USD", 60, AT, end)
    bars, following = HISTORY.read_bars("BTC/USD", request, body(rows, SECOND + 180), AT, end)
    assert following is None
    assert bars == [Bar(AT + minutes * 60_000_000, 10.0, 12.0, 9.0, 11.0, 0.5, 3) for minutes in (0, 2, 3)]


def test_the_last_row_is_unfinished():
    request = HISTORY.bars("BTC/USD", 60, AT, AT + 600_000_000)
    rows = [bar_row(SECOND), bar_row(SECOND + 60)]
    bars, _ = HISTORY.read_bars("BTC/USD", request, body(rows), AT, AT + 600_000_000)
    assert [bar.start for bar in bars] == [AT]
    assert HISTORY.read_bars("BTC/USD", request, body([]), AT, AT + 600_000_000) == ([], None)


def test_the_pairs_are_listed_with_their_state():
    pairs = {
        "XXBTZUSD": {"altname": "XBTUSD", "wsname": "XBT/USD", "status": "online"},
        "XDGUSD": {"altname": "XDGUSD", "wsname": "XDG/USD", "status": "limit_only"},
        "OLDUSD": {"altname": "OLDUSD", "wsname": "OLD/USD", "status": "delisted"},
        "XBTUSD.d": {"altname": "XBTUSD.d", "status": "online"},
    }
    content = json.dumps({"error": [], "result": pairs}).encode()
    assert HISTORY.instruments() == Request("/0/public/AssetPairs")
    assert HISTORY.read_instruments(content) == {"BTC/USD": True, "DOGE/USD": True, "OLD/USD": False}


def test_an_error_in_a_successful_response_is_reported():
    after, until = trade(5), trade(9)
    content = json.dumps({"error": ["EQuery:Unknown asset\npair"]}).encode()
    with pytest.raises(ReportedError, match="the source reports: EQuery:Unknown asset pair"):
        HISTORY.read_trades("BTC/USD", first_request(after, until), content, after, until)
    with pytest.raises(ReportedError):
        HISTORY.read_instruments(content)


def test_a_warning_is_no_error():
    assert HISTORY.read_instruments(b'{"error": ["WGeneral:Notice"], "result": {}}') == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"error": "text"}',
        b'{"result": []}',
        b'{"result": {}}',
        b'{"result": {"A": [], "B": []}}',
        body({}),
        body([trade_row(6)[:6]]),
        body([trade_row(6, price="0")]),
        body([trade_row(6, price="x")]),
        body([trade_row(-1)]),
        body([trade_row(6, seconds=0)]),
        body([["1", "1", "NaN", "s", "l", "", 6]]),
        body([["1", "1", "1e999999", "s", "l", "", 6]]),
        body([trade_row(6)], "x"),
        body([trade_row(6)], -5),
        body([trade_row(6)], "9" * 20),
        body([trade_row(6)], 1.5),
    ],
)
def test_malformed_trades_are_refused(content: bytes):
    after, until = trade(5), trade(9)
    with pytest.raises(BadMessage):
        HISTORY.read_trades("BTC/USD", first_request(after, until), content, after, until)


@pytest.mark.parametrize(
    "row",
    [
        bar_row(SECOND)[:7],
        bar_row(0),
        bar_row(10**16),
        bar_row(SECOND, count=-1),
        bar_row(SECOND, volume="x"),
        [SECOND, "0", "1", "1", "1", "1", "1", 1],
        {},
    ],
)
def test_malformed_bars_are_refused(row: object):
    request = HISTORY.bars("BTC/USD", 60, AT, AT + 600_000_000)
    with pytest.raises(BadMessage):
        HISTORY.read_bars("BTC/USD", request, body([row, bar_row(SECOND + 60)]), AT, AT + 600_000_000)
