from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from watchlist.prices.candles import Candle, CandleSeries
from watchlist.prices.ranges import MAX_TABLE_ROWS, encode_candles, parse_range, write_table

NOW = 1_766_480_000


def series(step: int, count: int) -> CandleSeries:
    return CandleSeries(
        step, [Candle(NOW + number * step, 1.0, 3.0, 0.5, 2.0, 10, 150_000_000) for number in range(count)]
    )


@pytest.mark.parametrize(("name", "parsed"), [("1d", "1d"), ("all", "all"), ("", "1h"), ("2y", "1h"), ("1y", "1y")])
def test_an_unknown_range_becomes_the_hour(name: str, parsed: str):
    assert parse_range(name) == parsed


def test_candles_are_encoded_oldest_first():
    assert encode_candles(series(60, 2)) == {
        "step": 60,
        "bars": [[NOW, 1.0, 3.0, 0.5, 2.0, 1.5], [NOW + 60, 1.0, 3.0, 0.5, 2.0, 1.5]],
    }


@pytest.mark.parametrize(
    ("step", "count", "newest"),
    [(1, 3, "08:53:22"), (60, 3, "08:55"), (3600, 20, "24 Dec 03:53"), (86_400, 3, "2025-12-25")],
)
def test_the_table_shows_only_the_parts_of_the_time_that_differ(step: int, count: int, newest: str):
    rows = write_table(series(step, count), 2, UTC)
    assert rows[0]["time"] == newest
    assert rows[0]["figures"] == ["1.00", "3.00", "0.50", "2.00", "1.50"]


def test_the_table_has_a_maximum_of_rows():
    assert len(write_table(series(60, 1500), 2, UTC)) == MAX_TABLE_ROWS
    assert write_table(series(60, 0), 2, UTC) == []


def test_times_that_occur_twice_in_the_night_of_a_clock_change_name_their_zone():
    half_past_two = int(datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp())
    candles = [Candle(half_past_two + number * 3600, 1.0, 3.0, 0.5, 2.0, 10) for number in range(2)]
    rows = write_table(CandleSeries(3600, candles), 2, ZoneInfo("Europe/Berlin"))
    assert [row["time"] for row in rows] == ["02:30 CET", "02:30 CEST"]
