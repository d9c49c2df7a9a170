from itertools import pairwise

import pytest

from feeds.sources.events import Bar
from feeds.sources.simulated import Instrument
from feeds.sources.simulated_past import DAY_COUNT, MINUTE_COUNT, PastBars, SimulatedPast

MINUTE_US = 60_000_000
DAY_US = 1440 * MINUTE_US
END = 20_500 * DAY_US + 700 * MINUTE_US
PRICE = 151.07
AAPL = Instrument("AAPL", 150.0)


def day_at(timestamp: int) -> int:
    return timestamp // DAY_US


def past(instrument: Instrument = AAPL, seed: str = "1", price: float = PRICE) -> SimulatedPast:
    return SimulatedPast(instrument, 0.1, seed, END, price)


@pytest.fixture(scope="module")
def bars() -> PastBars:
    return past().bars(day_at)


def all_bars(bars: PastBars) -> list[Bar]:
    return [*bars.minutes, *bars.days.values()]


def test_a_past_has_a_week_of_minutes_up_to_its_end(bars: PastBars):
    assert [bar.start for bar in bars.minutes] == [END - (MINUTE_COUNT - at) * MINUTE_US for at in range(MINUTE_COUNT)]


def test_a_past_has_a_year_of_days_before_the_day_of_its_end(bars: PastBars):
    assert list(bars.days) == [20_500 - DAY_COUNT + at for at in range(DAY_COUNT)]
    assert all(day_at(bar.start) == day for day, bar in bars.days.items())


def test_a_past_ends_at_the_first_price_and_has_no_jumps(bars: PastBars):
    assert bars.minutes[-1].close == PRICE
    assert all(earlier.close == later.open for earlier, later in pairwise(bars.minutes))
    assert all(earlier.close == later.open for earlier, later in pairwise(bars.days.values()))


def test_a_day_of_the_last_week_has_the_prices_and_the_volume_of_its_minutes(bars: PastBars):
    minutes = [bar for bar in bars.minutes if day_at(bar.start) == 20_499]
    day = bars.days[20_499]
    assert len(minutes) == 1440
    assert (day.open, day.close) == (minutes[0].open, minutes[-1].close)
    assert (day.high, day.low) == (max(bar.high for bar in minutes), min(bar.low for bar in minutes))
    assert day.volume == pytest.approx(sum(bar.volume for bar in minutes))


def test_high_and_low_enclose_open_and_close(bars: PastBars):
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in all_bars(bars))
    assert all(bar.low > 0 and bar.volume > 0 for bar in all_bars(bars))


def test_a_year_moves_more_than_a_day(bars: PastBars):
    closes = [bar.close for bar in bars.days.values()]
    assert max(closes) / min(closes) > 1.15
    assert all(0.8 < earlier / later < 1.25 for earlier, later in pairwise(closes))


def test_the_newest_minutes_alone_are_those_of_the_whole_past(bars: PastBars):
    assert past().minutes(100) == bars.minutes[-100:]


def test_a_past_depends_on_symbol_and_seed_only():
    minutes = past().minutes(50)
    assert past().minutes(50) == minutes
    assert past(seed="2").minutes(50) != minutes
    assert past(Instrument("GOOG", 150.0)).minutes(50) != minutes


def test_prices_have_the_decimals_of_the_instrument_and_are_never_zero():
    minutes = past(Instrument("JPY", 0.02, volatility=500.0, decimals=2), price=0.01).minutes(500)
    assert all(round(bar.low, 2) == bar.low >= 0.01 for bar in minutes)


def test_a_price_that_left_its_base_returns_to_it_in_the_past():
    minutes = past(price=300.0).minutes(1000)
    assert minutes[-1].close == 300.0
    assert 130 < minutes[0].open < 170


def test_an_instrument_without_volatility_has_a_constant_past():
    bars = SimulatedPast(Instrument("AAPL", 150.0, volatility=0.0), 120.0, "1", END, 150.0).bars(day_at)
    assert {price for bar in all_bars(bars) for price in (bar.open, bar.high, bar.low, bar.close)} == {150.0}


def test_an_extreme_volatility_never_overflows():
    minutes = past(Instrument("MEME", 1.0, volatility=1000.0), price=9e299).minutes(500)
    assert all(0 < bar.low <= bar.high < float("inf") for bar in minutes)
