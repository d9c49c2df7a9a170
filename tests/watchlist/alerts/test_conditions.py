from datetime import UTC, datetime, timedelta
from math import inf, nan

import pytest

from watchlist.alert_kinds import Kind, Repeat
from watchlist.alerts import conditions
from watchlist.alerts.conditions import (
    CREATABLE,
    LEVEL_KINDS,
    PERCENT_KINDS,
    WINDOW_KINDS,
    AlertOptions,
    check_condition,
    check_note,
    check_options,
)
from watchlist.alerts.slot_table import FALL, PERCENT, RISE, condition_of
from watchlist.errors import BadAlert

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def refusal(**fields: object) -> str:
    with pytest.raises(BadAlert) as error:
        check_options(AlertOptions(**({"kind": Kind.UP, "value": 100.0} | fields)), NOW)
    return str(error.value)


@pytest.mark.parametrize("value", [0.0, -1.0, 1e12, inf, nan])
def test_a_level_outside_its_limits_is_refused(value: float):
    assert refusal(value=value) == "A level is above 0 and below 1,000,000,000,000."


@pytest.mark.parametrize("value", [0.0, -100.0, 10_001.0, inf, nan])
def test_a_percentage_outside_its_limits_is_refused(value: float):
    assert "percentage" in refusal(kind=Kind.DAY_PERCENT, value=value)


@pytest.mark.parametrize(
    ("kind", "value", "window_seconds", "text"),
    [
        (Kind.UP, None, None, "A level is"),
        (Kind.WINDOW_PERCENT, None, 60, "A percentage is"),
        (Kind.WINDOW_PERCENT, 5.0, None, "time span"),
        (Kind.WINDOW_PERCENT, 5.0, 90, "time span"),
        (Kind.WINDOW_PERCENT, 5.0, 0, "time span"),
        (Kind.NO_PRICE, None, 24 * 3600 + 60, "time span"),
        (Kind.NO_PRICE, 5.0, 60, "neither a level nor a percentage"),
        (Kind.DAY_HIGH, 5.0, None, "neither a level nor a percentage"),
        (Kind.DAY_HIGH, None, 60, "no time span"),
    ],
)
def test_each_kind_takes_only_its_own_value_and_time_span(
    kind: Kind, value: float | None, window_seconds: int | None, text: str
):
    with pytest.raises(BadAlert, match=text):
        check_condition(kind, value, window_seconds)


@pytest.mark.parametrize(
    ("kind", "value", "window_seconds"),
    [
        (Kind.WINDOW_PERCENT, -5.0, 60),
        (Kind.WINDOW_PERCENT, 5.0, 24 * 3600),
        (Kind.NO_PRICE, None, 300),
        (Kind.DAY_HIGH, None, None),
        (Kind.YEAR_LOW, None, None),
    ],
)
def test_each_kind_is_allowed_with_its_value_and_time_span(kind: Kind, value: float | None, window_seconds: int | None):
    check_condition(kind, value, window_seconds)


def test_a_kind_that_is_not_evaluated_cannot_be_created(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(conditions, "CREATABLE", (Kind.DOWN,))
    assert "“up”" in refusal()


@pytest.mark.parametrize("kind", CREATABLE)
def test_each_kind_that_can_be_created_is_evaluated(kind: Kind):
    value = 5.0 if kind in LEVEL_KINDS | PERCENT_KINDS else None
    window_seconds = 60 if kind in WINDOW_KINDS else None
    assert check_options(AlertOptions(kind, value, window_seconds=window_seconds), NOW).kind is kind
    assert condition_of(kind, value or 0.0)


def test_an_alert_without_a_channel_is_refused():
    assert "at least one way" in refusal(channels=frozenset())


@pytest.mark.parametrize("days", [0, -1, 6 * 366])
def test_an_expiry_that_is_over_or_too_late_is_refused(days: int):
    assert "expiry" in refusal(expires_at=NOW + timedelta(days=days))


@pytest.mark.parametrize("seconds", [0, 59, 30 * 24 * 3600 + 1])
def test_a_cooldown_outside_its_limits_is_refused(seconds: int):
    assert "pause" in refusal(repeat=Repeat.EACH, cooldown_seconds=seconds)


def test_a_cooldown_counts_only_if_each_crossing_fires():
    options = AlertOptions(Kind.DOWN, 5.0, cooldown_seconds=60)
    assert check_options(options, NOW).cooldown_seconds == 0
    each = AlertOptions(Kind.DOWN, 5.0, Repeat.EACH, 60, NOW + timedelta(days=1))
    assert check_options(each, NOW) == each


def test_a_note_gets_single_spaces_and_composed_letters():
    assert check_note("  Sell\n half  of e\u0301 ") == "Sell half of \u00e9"
    assert check_note("x" * 200) == "x" * 200


@pytest.mark.parametrize("note", ["x" * 201, "e\u0301" * 100_000, "a\x00b", "\u202etxt"])
def test_a_note_that_is_too_long_or_has_control_characters_is_refused(note: str):
    with pytest.raises(BadAlert):
        check_note(note)


def test_conditions_say_in_which_direction_an_alert_fires():
    assert [condition_of(kind, 1.0) for kind in (Kind.UP, Kind.DOWN, Kind.EITHER)] == [RISE, FALL, RISE | FALL]
    assert condition_of(Kind.DAY_PERCENT, 1.0) == PERCENT | RISE
    assert condition_of(Kind.DAY_PERCENT, -1.0) == PERCENT | FALL
