import pytest

from feeds.history.comparison import MINUTE_US, Comparison, RecordedMinute, compare_minutes
from feeds.sources.events import Bar

PRICES = (10.0, 12.0, 9.0, 11.0)


def minute(count: int = 3, volume: float = 1.5, prices: tuple[float, ...] = PRICES) -> RecordedMinute:
    return RecordedMinute(*prices, count, round(volume * 10**8))


def bar(number: int, count: int | None = 3, volume: float = 1.5) -> Bar:
    return Bar(number * MINUTE_US, *PRICES, volume, count)


def minutes_of(found: Comparison) -> tuple[int, int, int, int]:
    return found.exact, found.different, found.missing, found.replaced


def differences_of(found: Comparison) -> tuple[int, int, float, float]:
    return found.lost, found.repeated, found.lost_units / 1e8, found.repeated_units / 1e8


def test_equal_minutes_are_exact():
    found = compare_minutes({5: minute(), 6: minute()}, [bar(5), bar(6)])
    assert minutes_of(found) == (2, 0, 0, 0)
    assert differences_of(found) == (0, 0, 0.0, 0.0)
    assert found.is_counted


def test_lost_and_repeated_trades_are_counted_apart():
    found = compare_minutes({5: minute(2, 1.0), 6: minute(5, 2.5)}, [bar(5), bar(6)])
    assert minutes_of(found) == (0, 2, 0, 0)
    assert differences_of(found) == (1, 2, 0.5, 1.0)


def test_a_difference_in_the_last_digit_of_a_sum_does_not_count():
    found = compare_minutes({5: minute(volume=1.50000001)}, [bar(5)])
    assert minutes_of(found) == (1, 0, 0, 0)


def test_another_price_is_a_difference():
    found = compare_minutes({5: minute(prices=(10.0, 12.5, 9.0, 11.0))}, [bar(5)])
    assert minutes_of(found) == (0, 1, 0, 0)
    assert differences_of(found) == (0, 0, 0.0, 0.0)


def test_a_minute_that_was_not_recorded_is_missing_and_its_trades_are_lost():
    found = compare_minutes({}, [bar(5)])
    assert minutes_of(found) == (0, 0, 1, 0)
    assert differences_of(found) == (3, 0, 1.5, 0.0)


def test_a_fetched_minute_is_replaced():
    fetched = RecordedMinute(*PRICES, 3, 150_000_000, is_fetched=True)
    assert minutes_of(compare_minutes({5: fetched, 6: fetched}, [bar(5)])) == (0, 0, 0, 1)


def test_trades_that_the_source_does_not_have_are_repeated():
    assert differences_of(compare_minutes({5: minute(), 6: minute()}, [bar(5)])) == (0, 3, 0.0, 1.5)


@pytest.mark.parametrize("bars", [[], [bar(6)]])
def test_minutes_before_those_of_the_source_are_not_compared(bars: list[Bar]):
    assert differences_of(compare_minutes({5: minute(), 6: minute()}, bars)) == (0, 0, 0.0, 0.0)


def test_without_counts_of_the_source_volumes_are_compared():
    found = compare_minutes({5: minute(2, 1.0)}, [bar(5, None), bar(6, None)])
    assert not found.is_counted
    assert differences_of(found)[2:] == (2.0, 0.0)
