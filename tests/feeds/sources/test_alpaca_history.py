import json

import pytest

from feeds.sources.adapter import BadMessage, Request
from feeds.sources.alpaca import FEEDS
from feeds.sources.events import Bar, Trade

HISTORY = FEEDS["iex"].history
START = 1_767_571_200_000_000
"""2026-01-05T00:00:00Z in unix microseconds."""
MINUTE = 60_000_000
DAY = 86_400_000_000


def time_text(offset: int) -> str:
    """Returns the time `offset` microseconds after the start, less than one second."""
    return f"2026-01-05T00:00:00.{offset:06}999Z"


def row(number: int, offset: int, **more: object) -> dict[str, object]:
    return {"t": time_text(offset), "x": "V", "p": 126.5, "s": 100, "c": ["@"], "i": number, "z": "C", **more}


def trade(number: int, offset: int, past: bool = True) -> Trade:
    return Trade("AAPL", 126.5, 100.0, START + offset, f"V:{number}:{START + offset}", past=past)


def bar_row(time: str, **more: object) -> dict[str, object]:
    return {"t": time, "o": 2, "h": 4.5, "l": 1.5, "c": 3, "v": 1234, "n": 17, "vw": 2.2, **more}


def body(key: str, rows: object, token: str | None = None) -> bytes:
    return json.dumps({key: rows, "next_page_token": token}).encode()


def test_missed_trades_are_asked_for_by_time():
    assert HISTORY.trades("AAPL", trade(1, 100), trade(9, 900)) == Request(
        "/v2/stocks/trades",
        {
            "symbols": "AAPL",
            "start": "2026-01-04T23:59:55.000100Z",
            "end": "2026-01-05T00:00:00.000901Z",
            "limit": "10000",
            "feed": "iex",
        },
    )


def test_crypto_has_its_own_path_and_no_feed():
    request = FEEDS["crypto"].history.trades("BTC/USD", trade(1, 100), trade(9, 900))

    assert request is not None
    assert request.path == "/v1beta3/crypto/us/trades"
    assert sorted(request.parameters) == ["end", "limit", "start", "symbols"]


def test_late_prices_have_the_history_of_all_exchanges():
    request = FEEDS["delayed_sip"].history.bars("AAPL", 60, START, START + MINUTE)

    assert request.parameters["feed"] == "sip"


def test_no_trades_are_asked_for_without_an_earlier_one():
    assert HISTORY.trades("AAPL", None, trade(9, 900)) is None


def test_the_test_stream_has_no_missed_trades():
    assert FEEDS["test"].history.trades("FAKEPACA", trade(1, 100), trade(9, 900)) is None


def test_missed_trades_are_those_in_the_time_between_or_a_little_earlier_that_are_not_withdrawn():
    rows = [
        row(11, 0, t="2026-01-04T23:59:55.000099999Z"),
        row(0, 0, t="2026-01-04T23:59:55.000100000Z"),
        row(1, 100),
        row(2, 100),
        row(3, 500, c=["@", "I"]),
        row(4, 600, u="canceled"),
        row(5, 600, u="incorrect"),
        row(6, 600, u="corrected"),
        row(8, 900),
        row(9, 900),
        row(10, 901),
    ]
    after, until = trade(1, 100), trade(9, 900, past=False)
    request = HISTORY.trades("AAPL", after, until)
    assert request is not None
    trades, following = HISTORY.read_trades("AAPL", request, body("trades", {"AAPL": rows}), after, until)

    assert [missed.id.split(":")[1] for missed in trades] == ["0", "2", "3", "6", "8"]
    assert [missed.sets_price for missed in trades] == [True, True, False, True, True]
    assert all(missed.past for missed in trades)
    assert following is None


def test_without_an_earlier_trade_all_trades_up_to_the_live_one_are_read():
    response = body("trades", {"AAPL": [row(1, 100), row(9, 900)]})
    trades, _ = HISTORY.read_trades("AAPL", Request("/"), response, None, trade(9, 900))

    assert list(trades) == [trade(1, 100)]


@pytest.mark.parametrize("rows", [None, {}, {"MSFT": [row(2, 300)]}])
def test_a_response_can_hold_no_trades(rows):
    after, until = trade(1, 100), trade(9, 900)

    assert HISTORY.read_trades("AAPL", Request("/"), body("trades", rows), after, until) == ([], None)


def test_the_next_page_is_asked_for_by_its_token():
    after, until = trade(1, 100), trade(9, 900)
    request = HISTORY.trades("AAPL", after, until)
    assert request is not None
    response = body("trades", {"AAPL": [row(2, 300)]}, token="QUFQTA")
    _, following = HISTORY.read_trades("AAPL", request, response, after, until)

    assert following == Request(request.path, {**request.parameters, "page_token": "QUFQTA"})
    with pytest.raises(BadMessage, match="names itself"):
        HISTORY.read_trades("AAPL", following, response, after, until)


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"{}",
        b'{"message":"forbidden."}',
        b'{"trades":[]}',
        body("trades", {"AAPL": [7]}),
        body("trades", {"AAPL": [row(2, 300, p=0)]}),
        body("trades", {"AAPL": [row(2, 300, s=-1)]}),
        body("trades", {"AAPL": [row(2, 300, t="x")]}),
    ],
)
def test_malformed_trades_are_refused(response):
    with pytest.raises(BadMessage):
        HISTORY.read_trades("AAPL", Request("/"), response, trade(1, 100), trade(9, 900))


@pytest.mark.parametrize(("interval", "timeframe"), [(60, "1Min"), (86_400, "1Day")])
def test_bars_are_asked_for_with_prices_adjusted_to_splits(interval, timeframe):
    assert HISTORY.bars("AAPL", interval, START, START + DAY) == Request(
        "/v2/stocks/bars",
        {
            "symbols": "AAPL",
            "start": "2026-01-05T00:00:00.000000Z",
            "end": "2026-01-05T23:59:59.999999Z",
            "limit": "10000",
            "feed": "iex",
            "timeframe": timeframe,
            "adjustment": "split",
        },
    )


def test_closed_bars_of_the_range_are_read():
    times = ["2026-01-04T23:59:00Z", "2026-01-05T00:00:00Z", "2026-01-05T00:01:00Z", "2026-01-05T00:02:00Z"]
    end = START + 3 * MINUTE - 1
    request = HISTORY.bars("AAPL", 60, START, end)
    response = body("bars", {"AAPL": [bar_row(time) for time in times]}, token="next")
    bars, following = HISTORY.read_bars("AAPL", request, response, START, end)

    assert bars == [Bar(START, 2.0, 4.5, 1.5, 3.0, 1234.0, 17), Bar(START + MINUTE, 2.0, 4.5, 1.5, 3.0, 1234.0, 17)]
    assert following == Request(request.path, {**request.parameters, "page_token": "next"})


def test_a_day_is_closed_when_it_is_over():
    request = HISTORY.bars("AAPL", 86_400, START, START + 2 * DAY - 1)
    times = ["2026-01-05T05:00:00Z", "2026-01-06T05:00:00Z"]
    response = body("bars", {"AAPL": [bar_row(time, n=None) for time in times]})
    bars, following = HISTORY.read_bars("AAPL", request, response, START, START + 2 * DAY - 1)

    assert bars == [Bar(START + 5 * 3_600_000_000, 2.0, 4.5, 1.5, 3.0, 1234.0)]
    assert following is None


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"{}",
        body("bars", {"AAPL": [bar_row("x")]}),
        body("bars", {"AAPL": [bar_row("2026-01-05T00:00:00Z", o=0)]}),
        body("bars", {"AAPL": [bar_row("2026-01-05T00:00:00Z", v=-1)]}),
        body("bars", {"AAPL": [bar_row("2026-01-05T00:00:00Z", n=-1)]}),
    ],
)
def test_malformed_bars_are_refused(response):
    request = HISTORY.bars("AAPL", 60, START, START + DAY)
    with pytest.raises(BadMessage):
        HISTORY.read_bars("AAPL", request, response, START, START + DAY)


def test_the_server_of_prices_has_no_list_of_instruments():
    assert HISTORY.instruments() is None
    with pytest.raises(BadMessage):
        HISTORY.read_instruments(b"{}")
