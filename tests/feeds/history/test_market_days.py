from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.history.market_days import MarketDays, make_source_days

NEW_YORK = ZoneInfo("America/New_York")


def micros(*moment: int, zone=UTC) -> int:
    return int(datetime(*moment, tzinfo=zone).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (micros(2026, 11, 22), date(2026, 11, 22)),
        (micros(2026, 11, 22) - 1, date(2026, 11, 21)),
        (micros(2026, 11, 22, 23, 59, 59), date(2026, 11, 22)),
        (0, date(1970, 1, 1)),
    ],
)
def test_a_utc_day_begins_at_midnight(at: int, day: date):
    assert date.fromordinal(MarketDays(UTC, time(0)).day_at(at)) == day


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ((2026, 11, 22, 16, 59), date(2026, 11, 21)),
        ((2026, 11, 22, 17, 0), date(2026, 11, 22)),
        ((2026, 11, 23, 0, 30), date(2026, 11, 22)),
    ],
)
def test_a_day_can_begin_in_the_evening_of_another_zone(moment: tuple[int, ...], day: date):
    assert date.fromordinal(MarketDays(NEW_YORK, time(17)).day_at(micros(*moment, zone=NEW_YORK))) == day


def test_days_are_shorter_and_longer_when_clocks_change():
    days = MarketDays(NEW_YORK, time(0))
    spring, autumn = date(2026, 3, 8).toordinal(), date(2026, 11, 1).toordinal()
    hours = [(days.begin(day + 1) - days.begin(day)) / 3_600_000_000 for day in (spring, autumn)]
    assert hours == [23, 25]


def test_a_date_that_a_zone_skipped_has_no_moment():
    days = MarketDays(ZoneInfo("Pacific/Apia"), time(12))
    assert date.fromordinal(days.day_at(micros(2011, 12, 30, 15))) == date(2011, 12, 29)
    assert date.fromordinal(days.day_at(micros(2011, 12, 30, 22))) == date(2011, 12, 31)


@given(
    st.integers(0, 4_000_000_000_000_000),
    st.sampled_from(
        [UTC, NEW_YORK, ZoneInfo("Pacific/Apia"), ZoneInfo("Asia/Kathmandu"), ZoneInfo("Australia/Lord_Howe")]
    ),
    st.times(),
)
def test_every_moment_belongs_to_the_day_that_has_begun_and_not_ended(at: int, zone, start: time):
    days = MarketDays(zone, start.replace(microsecond=0))
    day = days.day_at(at)
    assert days.begin(day) <= at < days.begin(day + 1)
    assert days.day_at(at) == day


def test_a_source_without_a_time_zone_of_its_own_has_the_default_days():
    days = make_source_days(ZoneInfo("Asia/Tokyo"), time(6))
    assert days.of("simulated") is days.of("replay")
    assert days.of("simulated").begin(date(2026, 11, 22).toordinal()) == micros(2026, 11, 21, 21)


def test_shares_have_days_of_new_york_and_coins_days_of_utc():
    days = make_source_days(ZoneInfo("Asia/Tokyo"), time(6))
    assert days.of("alpaca").begin(date(2026, 11, 22).toordinal()) == micros(2026, 11, 22, 5)
    assert days.of("kraken").begin(date(2026, 11, 22).toordinal()) == micros(2026, 11, 22)


def test_a_source_whose_time_zone_is_unknown_has_the_default_days(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("feeds.history.market_days.MARKET_ZONES", {"alpaca": "Nowhere/City"})
    days = make_source_days(UTC, time(6))
    assert days.of("alpaca") is days.of("simulated")
