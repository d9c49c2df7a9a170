import json
from typing import Any

import pytest

from feeds.sources.adapter import BadMessage, Request
from feeds.sources.coinbase import COINBASE
from feeds.sources.decoding import ReportedError
from feeds.sources.events import Bar, Trade

HISTORY = COINBASE.history
SECOND = 1_772_437_740
"""A time in unix seconds at which a minute begins: 2026-03-02T07:49:00Z."""

AT = SECOND * 1_000_000
MINUTE = 60_000_000


def trade(sequence: int | None, identity: str | None = None) -> Trade:
    return Trade("BTC-USD", 1.0, 1.0, AT, identity or str(sequence), sequence)


def trade_row(sequence: int, **changes: Any) -> dict[str, Any]:
    row = {"trade_id": sequence, "side": "buy", "size": "0.01", "price": "97120.10", "time": "2026-03-02T07:49:00.5Z"}
    return {**row, **changes}


def bar_row(start: int) -> list[Any]:
    return [start, 9.0, 12.0, 10.0, 11.0, 0.5]


def body(rows: object) -> bytes:
    return json.dumps(rows).encode()


def first_request(after: Trade, until: Trade) -> Request:
    request = HISTORY.trades("BTC-USD", after, until)
    assert request is not None
    return request


def test_missed_trades_are_requested_downwards_from_the_first_known_one():
    request = first_request(trade(5), trade(9))
    assert request == Request("/products/BTC-USD/trades", {"after": "9", "limit": "1000"})
    assert HISTORY.trades("A/B?", trade(None, "5"), trade(9)) == Request(
        "/products/A%2FB%3F/trades", {"after": "9", "limit": "1000"}
    )


@pytest.mark.parametrize(
    ("after", "until"),
    [(None, trade(9)), (trade(8), trade(9)), (trade(9), trade(5)), (trade(None, "x"), trade(9))],
)
def test_nothing_is_requested_if_nothing_is_known_to_be_missing(after: Trade | None, until: Trade):
    assert HISTORY.trades("BTC-USD", after, until) is None


def test_the_trades_of_a_page_are_read_oldest_first():
    after, until = trade(5), trade(9)
    rows = [trade_row(number) for number in (8, 7, 6, 5, 4)]
    trades, following = HISTORY.read_trades("BTC-USD", first_request(after, until), body(rows), after, until)
    assert following is None
    assert [each.sequence for each in trades] == [6, 7, 8]
    assert trades[0] == Trade("BTC-USD", 97120.1, 0.01, AT + 500_000, "6", 6, past=True)


def test_pages_go_down_until_the_last_known_trade():
    after, until = trade(5), trade(2000)
    request = first_request(after, until)
    rows = [trade_row(number) for number in range(1999, 999, -1)]
    trades, following = HISTORY.read_trades("BTC-USD", request, body(rows), after, until)
    assert [trades[0].sequence, trades[-1].sequence, len(trades)] == [1000, 1999, 1000]
    assert following == Request("/products/BTC-USD/trades", {"after": "1000", "limit": "1000"})
    rows = [trade_row(number) for number in range(999, 5, -1)]
    trades, following = HISTORY.read_trades("BTC-USD", following, body(rows), after, until)
    assert [trades[0].sequence, trades[-1].sequence, following] == [6, 999, None]


@pytest.mark.parametrize("rows", [[], [trade_row(2000)], [trade_row(3000), trade_row(2000)]])
def test_a_page_that_does_not_go_down_is_the_last_one(rows: list[Any]):
    after, until = trade(5), trade(2000)
    assert HISTORY.read_trades("BTC-USD", first_request(after, until), body(rows), after, until) == ([], None)


def test_bars_are_requested_in_windows_of_300():
    request = HISTORY.bars("BTC-USD", 60, AT, AT + 1000 * MINUTE)
    assert request == Request(
        "/products/BTC-USD/candles",
        {"granularity": "60", "start": "2026-03-02T07:49:00Z", "end": "2026-03-02T12:48:00Z"},
    )


def test_windows_begin_at_the_start_of_a_bar():
    request = HISTORY.bars("BTC-USD", 86_400, AT, AT + MINUTE)
    assert request.parameters == {
        "granularity": "86400",
        "start": "2026-03-02T00:00:00Z",
        "end": "2026-03-02T07:50:00Z",
    }


def test_windows_follow_each_other_without_gap_or_overlap():
    end = AT + 700 * MINUTE
    request: Request | None = HISTORY.bars("BTC-USD", 60, AT, end)
    found: list[Bar] = []
    spans = []
    while request is not None:
        spans.append((request.parameters["start"][11:16], request.parameters["end"][11:16]))
        first = AT + len(spans[:-1]) * 300 * MINUTE
        starts = range(first, min(first + 300 * MINUTE, end), MINUTE)
        rows = [bar_row(start // 1_000_000) for start in reversed(starts)]
        bars, request = HISTORY.read_bars("BTC-USD", request, body(rows), AT, end)
        found += bars
    assert spans == [("07:49", "12:48"), ("12:49", "17:48"), ("17:49", "19:29")]
    assert [bar.start for bar in found] == list(range(AT, end, MINUTE))
    assert found[0] == Bar(AT, 10.0, 12.0, 9.0, 11.0, 0.5)


def test_only_closed_bars_in_the_range_are_read():
    end = AT + 3 * MINUTE + 1
    rows = [bar_row(SECOND + 60 * number) for number in (4, 3, 2, 1, 0, -1)]
    request = HISTORY.bars("BTC-USD", 60, AT, end)
    bars, following = HISTORY.read_bars("BTC-USD", request, body(rows), AT, end)
    assert [bar.start for bar in bars] == [AT, AT + MINUTE, AT + 2 * MINUTE]
    assert following is None


def test_the_products_are_listed_with_their_state():
    online = {"status": "online", "trading_disabled": False, "cancel_only": False, "post_only": False}
    products = [
        {"id": "BTC-USD", **online},
        {"id": "ETH-USD", **online, "trading_disabled": True},
        {"id": "XRP-USD", **online, "cancel_only": True},
        {"id": "OLD-USD", "status": "delisted"},
        {"id": "", "status": "online"},
    ]
    assert HISTORY.instruments() == Request("/products")
    assert HISTORY.read_instruments(body(products)) == {
        "BTC-USD": True,
        "ETH-USD": False,
        "XRP-USD": False,
        "OLD-USD": False,
    }


def test_an_error_is_reported():
    after, until = trade(5), trade(9)
    request = first_request(after, until)
    with pytest.raises(ReportedError, match="the source reports: Not Found"):
        HISTORY.read_trades("BTC-USD", request, body({"message": "Not\nFound"}), after, until)
    with pytest.raises(ReportedError):
        HISTORY.read_instruments(body({"message": "busy"}))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"{}",
        b'{"message": 1}',
        b"[1]",
        *(
            body([trade_row(6, **{key: value})])
            for key, value in {"trade_id": "6", "price": "0", "size": "x", "time": "now"}.items()
        ),
    ],
)
def test_malformed_trades_are_refused(content: bytes):
    after, until = trade(5), trade(9)
    with pytest.raises(BadMessage):
        HISTORY.read_trades("BTC-USD", first_request(after, until), content, after, until)


@pytest.mark.parametrize(
    "row", [bar_row(SECOND)[:5], bar_row(0), [SECOND, 0, 1, 1, 1, 1], [SECOND, 1, 1, 1, 1, "x"], {}]
)
def test_malformed_bars_are_refused(row: object):
    request = HISTORY.bars("BTC-USD", 60, AT, AT + 600 * MINUTE)
    with pytest.raises(BadMessage):
        HISTORY.read_bars("BTC-USD", request, body([row]), AT, AT + 600 * MINUTE)
