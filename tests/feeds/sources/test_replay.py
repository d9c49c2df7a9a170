from collections.abc import Iterator
from math import inf

import pytest

from feeds.errors import BadReplay
from feeds.sources import replay
from feeds.sources.replay import ReplayTrade, read_replay, read_replay_file, read_speed, read_time, trades_from

T = 1_767_571_200_000_000
"""2026-01-05T00:00:00Z in unix microseconds."""
HOUR = 3_600_000_000
MINUTE = 60_000_000


def lines(*rows: str) -> list[str]:
    return [f"{row}\n" for row in rows]


def test_a_file_of_trades_can_have_its_columns_in_any_order_and_further_ones():
    rows = lines("\ufeffPrice, Side,TIME,Symbol,size", "1.5,buy,2026-01-05T00:00:00Z,btc/usd,0.25", "")

    assert read_replay(rows) == [ReplayTrade("BTC/USD", T, 1.5, 0.25)]


def test_the_size_of_a_trade_is_optional():
    assert read_replay(lines("symbol,time,price", f"AAPL,{T},150")) == [ReplayTrade("AAPL", T, 150.0, 0.0)]
    assert read_replay(lines("symbol,time,price,size", f"AAPL,{T},150,")) == [ReplayTrade("AAPL", T, 150.0, 0.0)]


def test_a_file_without_symbols_has_the_symbol_that_is_named_beside_it():
    assert read_replay(lines("time,price", f"{T},150"), "aapl") == [ReplayTrade("AAPL", T, 150.0, 0.0)]


@pytest.mark.parametrize(
    ("text", "time", "form"),
    [
        ("2026-01-05", T, "ISO 8601"),
        ("2026-01-05T00:00:00Z", T, "ISO 8601"),
        ("2026-01-05 00:00:00", T, "ISO 8601"),
        ("2026-01-05T01:00:00+01:00", T, "ISO 8601"),
        ("2026-01-05T00:00:00.123456789Z", T + 123_456, "ISO 8601"),
        ("1767571200", T, "unix seconds"),
        ("1767571200.123456", T + 123_456, "unix seconds"),
        ("1767571200123", T + 123_000, "unix milliseconds"),
        ("1767571200123.456", T + 123_456, "unix milliseconds"),
        ("1767571200123456", T + 123_456, "unix microseconds"),
        ("1000000000", 10**15, "unix seconds"),
    ],
)
def test_the_form_of_a_time_is_told_by_its_size(text, time, form):
    assert read_time(text) == (time, form)
    assert read_replay_file(lines("symbol,time,price", f"A,{text},1")).time_form == form


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-13-01", "1", "999999999", "-1767571200", "1e9", "20260105", "1" * 19, "1999-01-01", "١٧٦"],
)
def test_a_text_that_is_no_time_is_refused(text):
    with pytest.raises(BadReplay, match="the time"):
        read_time(text)


def test_trades_keep_the_order_of_the_file_so_that_late_ones_stay_late():
    rows = lines("symbol,time,price", f"A,{T},1", f"A,{T - 5},2", f"A,{T + 9},3")

    assert [trade.price for trade in read_replay(rows)] == [1.0, 2.0, 3.0]


def test_a_file_with_the_newest_trade_first_is_turned():
    rows = lines("symbol,time,price", f"A,{T + 9},3", f"A,{T + 9},2", f"A,{T},1")

    assert [trade.price for trade in read_replay(rows)] == [1.0, 2.0, 3.0]


def test_a_day_makes_four_trades_with_its_prices_and_its_volume():
    rows = lines("Date,Open,High,Low,Close,Adj Close,Volume", "2026-01-05,10,14,9,12,11.5,1000")

    assert read_replay(rows, "AAPL") == [
        ReplayTrade("AAPL", T, 10.0, 0.0),
        ReplayTrade("AAPL", T + 6 * HOUR, 9.0, 0.0),
        ReplayTrade("AAPL", T + 12 * HOUR, 14.0, 0.0),
        ReplayTrade("AAPL", T + 18 * HOUR, 12.0, 1000.0),
    ]


def test_a_falling_day_goes_to_its_high_first():
    rows = lines("date,open,high,low,close,volume", "2026-01-05,12,14,9,10,")

    assert [(trade.price, trade.size) for trade in read_replay(rows, "AAPL")] == [(12, 0), (14, 0), (9, 0), (10, 0)]


def test_days_can_have_symbols_and_any_order():
    rows = lines("symbol,timestamp,open,high,low,close", "B,2026-01-06,2,2,2,2", "A,2026-01-05,1,1,1,1")
    trades = read_replay(rows)

    assert [trade.symbol for trade in trades] == ["A"] * 4 + ["B"] * 4
    assert trades[4].time == T + 24 * HOUR


def test_the_trades_of_two_symbols_on_one_day_are_in_the_order_of_time():
    rows = lines("symbol,date,open,high,low,close", "A,2026-01-05,1,1,1,1", "B,2026-01-05,2,2,2,2")

    assert [trade.symbol for trade in read_replay(rows)] == ["A", "B"] * 4


def test_the_trades_of_a_minute_bar_stay_within_the_minute():
    rows = lines("time,open,high,low,close", f"{T},1,1,1,1", f"{T + MINUTE},2,2,2,2", f"{T + 9 * MINUTE},3,3,3,3")
    times = [trade.time - T for trade in read_replay(rows, "A")]

    assert times[:4] == [0, MINUTE // 4, MINUTE // 2, 3 * MINUTE // 4]
    assert times[4] == MINUTE


def test_days_a_week_apart_have_the_trades_of_days():
    rows = lines("date,open,high,low,close", "2026-01-05,1,1,1,1", "2026-01-12,2,2,2,2")

    assert read_replay(rows, "A")[3].time == T + 18 * HOUR


@pytest.mark.parametrize("cell", ["null", "", "N/D", "NaN"])
def test_a_day_without_trades_is_left_out(cell):
    rows = lines("date,open,high,low,close,volume", "2026-01-05,1,1,1,1,1", f"2026-01-06,{cell},{cell},{cell},{cell},0")

    assert len(read_replay(rows, "A")) == 4


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no trades"),
        (["symbol,time,price"], "no trades"),
        (["date,open,high,low,close", "2026-01-05,null,null,null,null"], "no trades"),
        ([f"A,{T},1"], "line 1: the first line must name the columns"),
        (["date,open,high,low", "2026-01-05,1,1,1"], "line 1: the first line must name the columns"),
        (["open,high,low,close", "1,1,1,1"], "line 1: the first line must name the columns"),
        (["symbol,time,price,time", f"A,{T},1,{T}"], "line 1: the column time is there twice"),
        (["symbol,time,price", f"A,{T},1", f"A,{T}"], "line 3: 2 cells, but the header names 3"),
        (["symbol,time,price", f"A,{T},1,2"], "line 2: 4 cells"),
        (["symbol,time,price", f"a b,{T},1"], "line 2: the symbol must have"),
        (["symbol,time,price", f",{T},1"], "line 2: the symbol must have"),
        (["symbol,time,price", "A,soon,1"], "line 2: the time is neither"),
        (
            ["symbol,time,price", "A,1767571200,1", "A,1767571200000,1"],
            "line 3: the time is in unix milliseconds, but the first time of the file is in unix seconds",
        ),
        (["symbol,time,price", f"A,{T},0"], "line 2: price: a price is zero"),
        (["symbol,time,price", f"A,{T},"], "line 2: price: a number is not a decimal text"),
        (["symbol,time,price", f"A,{T},=1+1"], "line 2: price"),
        (["symbol,time,price,size", f"A,{T},1,-1"], "line 2: size"),
        (["date,open,high,low,close,volume", "2026-01-05,1,1,1,1,many"], "line 2: volume"),
        (["date,open,high,low,close,volume", "2026-01-05,1,null,1,1,5"], "line 2: high"),
        (["date,open,high,low,close", "2026-01-05,10,14,11,12"], "line 2: open or close is not between"),
        (["date,open,high,low,close", "2026-01-05,10,9,8,12"], "line 2: open or close is not between"),
        (["symbol,time,price", "A," + "1" * 1000], "line 1: the next line has 1002 characters"),
        (["symbol,time,price", f'A,{T},"1'], "line 2: unexpected end of data"),
    ],
)
def test_a_malformed_file_is_refused_with_its_line(rows, message):
    with pytest.raises(BadReplay, match=message):
        read_replay(lines(*rows)[:-1] + rows[-1:], "A" if rows and "symbol" not in rows[0] else "")


def test_a_file_without_symbols_needs_one_beside_it():
    with pytest.raises(BadReplay, match="line 1: the file has no column symbol"):
        read_replay(lines("time,price", f"{T},1"))


def test_a_file_that_is_no_text_is_refused():
    def broken_lines() -> Iterator[str]:
        yield "symbol,time,price\n"
        yield b"\xff".decode()

    with pytest.raises(BadReplay, match="line 2: the file is no text in UTF-8"):
        read_replay(broken_lines())


def test_a_file_with_too_many_trades_is_refused(monkeypatch):
    monkeypatch.setattr(replay, "MAX_TRADES", 2)
    rows = lines("symbol,time,price", *[f"A,{T},1"] * 3)

    with pytest.raises(BadReplay, match="line 4: the file has more than 2 trades"):
        read_replay(rows)


def test_a_replay_can_begin_at_a_time_of_the_file():
    trades = read_replay(lines("symbol,time,price", f"A,{T},1", f"A,{T + HOUR},2"))

    assert trades_from(trades, "2026-01-05T00:30:00Z") == trades[1:]
    with pytest.raises(BadReplay, match="no trades from 2026-01-06 on"):
        trades_from(trades, "2026-01-06")


@pytest.mark.parametrize(("text", "speed"), [("1", 1.0), ("60", 60.0), ("0.5", 0.5), ("10000", 10_000.0), ("max", inf)])
def test_a_speed_is_a_number_or_max(text, speed):
    assert read_speed(text) == speed


@pytest.mark.parametrize("text", ["", "0", "-1", "fast", "1e3", "10001", "nan", "inf"])
def test_another_speed_is_refused(text):
    with pytest.raises(BadReplay, match="speed"):
        read_speed(text)


def test_the_title_names_the_first_day():
    assert read_replay_file(lines("symbol,time,price", f"A,{T},1")).title == "Replay of 2026-01-05"
