import json

import pytest

from feeds.sources.adapter import BadMessage, Request
from feeds.sources.events import Bar, Trade
from feeds.sources.history.binance import PAGE, BinanceHistory

HISTORY = BinanceHistory()
START = 1_767_571_200_000_000
"""A midnight in UTC, in unix microseconds."""
MINUTE = 60_000_000
DAY = 86_400_000_000


def trade(sequence: int | None, past: bool = False) -> Trade:
    text = "unknown" if sequence is None else str(sequence)
    return Trade("BTCUSDT", 4.00000100, 12.0, START + (sequence or 0), text, sequence=sequence, past=past)


def trade_row(sequence: int) -> dict[str, object]:
    return {"id": sequence, "price": "4.00000100", "qty": "12.00000000", "time": START + sequence, "isBestMatch": True}


def kline(start: int, length: int = MINUTE) -> list[object]:
    return [start, "2.0", "4.0", "1.0", "3.0", "0.5", start + length - 1, "1.5", 308, "0.1", "0.2", "0"]


def body(value: object) -> bytes:
    return json.dumps(value).encode()


def test_missed_trades_are_asked_for_by_number_and_in_microseconds():
    assert HISTORY.trades("BTCUSDT", trade(10), trade(20)) == Request(
        "/api/v3/historicalTrades",
        {"symbol": "BTCUSDT", "fromId": "11", "limit": "1000"},
        {"X-MBX-TIME-UNIT": "MICROSECOND"},
    )


@pytest.mark.parametrize("after", [None, trade(19), trade(20), trade(25), trade(None)])
def test_no_trades_are_asked_for_if_none_can_be_missing(after):
    assert HISTORY.trades("BTCUSDT", after, trade(20)) is None


def test_no_trades_are_asked_for_before_a_trade_without_a_number():
    assert HISTORY.trades("BTCUSDT", trade(10), trade(None)) is None


def read_trades(numbers: range, after: int = 10, until: int = 20) -> tuple[list[Trade], Request | None]:
    request = HISTORY.trades("BTCUSDT", trade(after), trade(until))
    assert request is not None
    rows = body([trade_row(number) for number in numbers])
    trades, following = HISTORY.read_trades("BTCUSDT", request, rows, trade(after), trade(until))
    return list(trades), following


def test_missed_trades_are_those_between_the_two():
    trades, following = read_trades(range(8, 30))

    assert trades == [trade(number, past=True) for number in range(11, 20)]
    assert following is None


def test_the_next_request_begins_after_the_last_trade():
    trades, following = read_trades(range(11, 1011), until=5000)

    assert len(trades) == 1000
    assert following == HISTORY.trades("BTCUSDT", trade(1010), trade(5000))


@pytest.mark.parametrize("numbers", [range(0), range(5)])
def test_a_response_without_new_trades_ends_the_requests(numbers):
    assert read_trades(numbers, until=5000) == ([], None)


def test_without_an_earlier_trade_no_trade_is_missed():
    request = Request("/api/v3/historicalTrades", {"fromId": "1"})

    assert HISTORY.read_trades("BTCUSDT", request, body([trade_row(1)]), None, trade(20)) == ([], None)


@pytest.mark.parametrize(
    "rows",
    [
        b"",
        b'{"code":-1121,"msg":"Invalid symbol."}',
        b"[7]",
        body([{**trade_row(11), "price": "0"}]),
        body([{**trade_row(11), "qty": "-1"}]),
        body([{**trade_row(11), "time": 1}]),
        body([{**trade_row(11), "id": -1}]),
    ],
)
def test_malformed_trades_are_refused(rows):
    with pytest.raises(BadMessage):
        HISTORY.read_trades("BTCUSDT", Request("/", {"fromId": "11"}), rows, trade(10), trade(20))


@pytest.mark.parametrize(("interval", "name"), [(60, "1m"), (86_400, "1d")])
def test_bars_are_asked_for_in_a_range(interval, name):
    assert HISTORY.bars("BTCUSDT", interval, START, START + DAY) == Request(
        "/api/v3/klines",
        {
            "symbol": "BTCUSDT",
            "interval": name,
            "startTime": "1767571200000",
            "endTime": "1767657599999",
            "limit": "1000",
        },
    )


@pytest.mark.parametrize("unit", [1, 1000])
def test_closed_bars_of_the_range_are_read_in_both_units(unit):
    rows = [kline(START + number * MINUTE) for number in range(-1, 4)]
    rows = [[row[0] // unit, *row[1:6], row[6] // unit, *row[7:]] for row in rows]
    end = START + 3 * MINUTE + 1
    request = HISTORY.bars("BTCUSDT", 60, START, end)

    assert HISTORY.read_bars("BTCUSDT", request, body(rows), START, end) == (
        [Bar(START + number * MINUTE, 2.0, 4.0, 1.0, 3.0, 0.5, 308) for number in range(3)],
        None,
    )


@pytest.mark.parametrize(("interval", "length"), [(60, MINUTE), (86_400, DAY)])
def test_a_full_page_of_bars_has_a_next_page(interval, length):
    end = START + 3000 * length
    request = HISTORY.bars("BTCUSDT", interval, START, end)
    rows = [kline(START + number * length, length) for number in range(PAGE)]
    bars, following = HISTORY.read_bars("BTCUSDT", request, body(rows), START, end)

    assert len(bars) == PAGE
    assert following == HISTORY.bars("BTCUSDT", interval, START + PAGE * length, end)


def test_a_full_page_of_older_bars_ends_the_requests():
    request = HISTORY.bars("BTCUSDT", 60, START, START + DAY)
    rows = [kline(START - MINUTE)] * PAGE

    assert HISTORY.read_bars("BTCUSDT", request, body(rows), START, START + DAY) == ([], None)


@pytest.mark.parametrize(
    "rows",
    [
        b"{}",
        b"[[1,2]]",
        body([[*kline(START)[:1], "0", *kline(START)[2:]]]),
        body([[*kline(START)[:5], "-1", *kline(START)[6:]]]),
        body([[1, *kline(START)[1:]]]),
    ],
)
def test_malformed_bars_are_refused(rows):
    request = HISTORY.bars("BTCUSDT", 60, START, START + DAY)
    with pytest.raises(BadMessage):
        HISTORY.read_bars("BTCUSDT", request, rows, START, START + DAY)


def test_instruments_say_which_symbols_are_traded():
    symbols = [
        {"symbol": "BTCUSDT", "status": "TRADING", "isSpotTradingAllowed": True},
        {"symbol": "LUNABTC", "status": "BREAK"},
        {"symbol": "HALTUSDT", "status": "HALT"},
        {"symbol": "ETHUSDT", "status": "TRADING", "isSpotTradingAllowed": False},
        {"symbol": "币安人生USDT", "status": "TRADING"},
    ]

    assert HISTORY.instruments() == Request("/api/v3/exchangeInfo", {"showPermissionSets": "false"})
    assert HISTORY.read_instruments(body({"timezone": "UTC", "symbols": symbols})) == {
        "BTCUSDT": True,
        "LUNABTC": False,
        "HALTUSDT": False,
        "ETHUSDT": False,
    }


@pytest.mark.parametrize("response", [b"", b"{}", b'{"symbols":[]}', b'{"symbols":[{"symbol":7}]}'])
def test_a_list_without_symbols_is_refused(response):
    with pytest.raises(BadMessage):
        HISTORY.read_instruments(response)
