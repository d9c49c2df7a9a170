from datetime import UTC, datetime

import pytest

from watchlist.prices.candles import Candle
from watchlist.prices.chart_steps import INTERVALS, MAX_POINTS, RANGES, BadChart, parse_steps

NOW = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)


def day(text: str, price: float = 1.0) -> Candle:
    start = int(datetime.fromisoformat(f"{text}T00:00:00+00:00").timestamp())
    return Candle(start, price, price + 1, price - 0.5, price, 10, 100)


def dates(candles: list[Candle]) -> list[str]:
    return [datetime.fromtimestamp(candle.start, UTC).date().isoformat() for candle in candles]


@pytest.mark.parametrize(
    ("name", "interval", "used"),
    [("", "", ("1d", "1m")), ("5d", "", ("5d", "15m")), ("1mo", "", ("1mo", "1d")), ("max", "1wk", ("max", "1wk"))],
)
def test_a_missing_range_or_interval_has_a_default(name: str, interval: str, used: tuple[str, str]):
    steps = parse_steps(name, interval, NOW)
    assert (steps.range, steps.interval) == used


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("1d", "2026-11-21T12:00:30+00:00"),
        ("1mo", "2026-10-23T12:00:30+00:00"),
        ("ytd", "2026-01-01T00:00:00+00:00"),
        ("max", "1970-01-01T00:00:00+00:00"),
    ],
)
def test_a_range_ends_now(name: str, first: str):
    assert parse_steps(name, "1d", NOW).find_first(NOW).isoformat() == first


def test_the_length_of_a_candle_below_a_day_is_in_minutes():
    assert [parse_steps("1d", interval, NOW).minutes for interval in INTERVALS] == [
        *(1, 2, 5, 15, 30, 60, 90, 60),
        *(None, None, None, None),
    ]


@pytest.mark.parametrize(
    ("name", "interval", "message"),
    [
        ("2d", "1d", "range must be one of 1d, 5d"),
        ("1d", "4m", "interval must be one of 1m, 2m"),
        ("1D", "1d", "range must be"),
        ("5d", "1m", "more than 4000 candles"),
        ("max", "1h", "more than 4000 candles"),
    ],
)
def test_an_invalid_range_or_interval_is_refused_with_the_reason(name: str, interval: str, message: str):
    with pytest.raises(BadChart, match=message):
        parse_steps(name, interval, NOW)


def test_each_range_has_an_interval_of_a_day_or_longer():
    for name in RANGES:
        for interval in ("1d", "1wk", "1mo", "3mo"):
            assert parse_steps(name, interval, NOW).minutes is None


def test_days_are_joined_to_weeks_that_begin_on_monday():
    days = [day("2026-11-14", 1.0), day("2026-11-16", 2.0), day("2026-11-22", 3.0), day("2026-11-23", 4.0)]
    weeks = parse_steps("1mo", "1wk", NOW).join_days(days)
    assert dates(weeks) == ["2026-11-09", "2026-11-16", "2026-11-23"]
    assert (weeks[1].open, weeks[1].high, weeks[1].low, weeks[1].close, weeks[1].volume) == (2.0, 4.0, 1.5, 3.0, 200)


def test_days_are_joined_to_months_and_quarters():
    days = [day("2026-09-30"), day("2026-10-01"), day("2026-11-30"), day("2027-01-01")]
    assert dates(parse_steps("1y", "1mo", NOW).join_days(days)) == [
        *("2026-09-01", "2026-10-01"),
        *("2026-11-01", "2027-01-01"),
    ]
    assert dates(parse_steps("1y", "3mo", NOW).join_days(days)) == ["2026-07-01", "2026-10-01", "2027-01-01"]


def test_only_the_newest_candles_are_kept():
    days = [Candle(number * 86_400, 1.0, 1.0, 1.0, 1.0, 1) for number in range(MAX_POINTS + 5)]
    kept = parse_steps("max", "1d", NOW).join_days(days)
    assert (len(kept), kept[-1]) == (MAX_POINTS, days[-1])
