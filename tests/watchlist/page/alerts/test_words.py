import pytest

from watchlist.alert_kinds import Channel, DeliveryState, Kind, Repeat
from watchlist.formatting.numerals import pick_numerals
from watchlist.page.alerts.suggestions import suggest_levels
from watchlist.page.alerts.words import (
    CHANNEL_NAMES,
    DELIVERY_WORDS,
    KIND_LABELS,
    write_condition,
    write_distance,
    write_duration,
    write_level,
    write_repeat,
    write_size,
)

GERMAN = pick_numerals("de")


@pytest.mark.parametrize(
    ("kind", "value", "window", "words"),
    [
        (Kind.UP, 1200.0, None, "rises to 1,200.00"),
        (Kind.DOWN, 0.5, None, "falls to 0.50"),
        (Kind.EITHER, 200.125, None, "reaches 200.125"),
        (Kind.DAY_PERCENT, 5.0, None, "rises 5% from the previous close"),
        (Kind.DAY_PERCENT, -2.5, None, "falls 2.5% from the previous close"),
        (Kind.WINDOW_PERCENT, 3.0, 900, "rises 3% within 15 min"),
        (Kind.DAY_HIGH, None, None, "makes a new high of the day"),
        (Kind.DAY_LOW, None, None, "makes a new low of the day"),
        (Kind.YEAR_HIGH, None, None, "makes a new 52-week high"),
        (Kind.YEAR_LOW, None, None, "makes a new 52-week low"),
        (Kind.NO_PRICE, None, 7200, "has no price for 2 h"),
    ],
)
def test_each_condition_is_written_in_words(kind: Kind, value: float | None, window: int | None, words: str):
    assert write_condition(kind, value, window, 2) == words


def test_all_names_have_words():
    assert set(KIND_LABELS) == set(Kind)
    assert set(CHANNEL_NAMES) == set(Channel)
    assert set(DELIVERY_WORDS) == set(DeliveryState)


def test_numbers_are_written_with_the_decimals_they_need():
    assert [write_level(value, 2) for value in (200.0, 0.1 + 0.2, 1e-9, 1e12)] == [
        "200.00",
        "0.30",
        "0.000000001",
        "1,000,000,000,000.00",
    ]
    assert write_level(1234.5, 2, GERMAN) == "1.234,50"
    assert [write_size(value) for value in (5.0, -2.5, 0.00001)] == ["5%", "2.5%", "0%"]
    assert [write_distance(value) for value in (None, 1.5, -1.5, 0.0)] == ["", "+1.50%", "−1.50%", "0.00%"]


def test_durations_are_written_in_the_longest_unit_that_divides_them():
    assert [write_duration(seconds) for seconds in (45, 60, 5400, 7200, 86_400, 0)] == [
        "45 s",
        "1 min",
        "90 min",
        "2 h",
        "1 d",
        "0 d",
    ]


def test_repeats_are_written_in_words():
    assert write_repeat(Repeat.ONCE, 0) == "once"
    assert write_repeat(Repeat.DAILY, 0) == "once a day"
    assert write_repeat(Repeat.EACH, 300) == "each time, at most every 5 min"


def test_levels_are_suggested_around_the_price():
    levels = suggest_levels(1000.0, 2, GERMAN)
    assert [(level.percent, level.text, level.choice) for level in levels] == [
        ("−5%", "950,00", "-950.00"),
        ("−2%", "980,00", "-980.00"),
        ("−1%", "990,00", "-990.00"),
        ("+1%", "1.010,00", "+1010.00"),
        ("+2%", "1.020,00", "+1020.00"),
        ("+5%", "1.050,00", "+1050.00"),
    ]


def test_no_level_is_suggested_that_equals_the_price_or_zero():
    assert [level.choice for level in suggest_levels(0.01, 2, GERMAN)] == []
    assert [level.choice for level in suggest_levels(10.0, 0, GERMAN)] == ["+11"]
