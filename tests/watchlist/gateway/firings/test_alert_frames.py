"""The texts of `alert` frames."""

import pytest

from tests.support.gateway.firings import make_firing
from tests.support.gateway.sessions import open_session, received_frames
from watchlist.alert_kinds import Kind
from watchlist.gateway.firings.alert_frames import make_alert_message, write_condition, write_duration

UNKNOWN = "the condition is true"


@pytest.mark.parametrize(
    ("kind", "fields", "text"),
    [
        ("up", {"level": 1230.5}, "at or above 1,230.50"),
        ("down", {"level": 0.5, "decimals": 4}, "at or below 0.5000"),
        ("either", {}, "reached 230.00"),
        ("day_percent", {"percent": 2.5}, "up 2.5% or more on the day"),
        ("day_percent", {"percent": -5.0}, "down 5% or more on the day"),
        ("window_percent", {"percent": -10_000.0, "window_seconds": 300}, "down 10,000% or more within 5 min"),
        ("day_high", {"level": None}, "a new high of the day"),
        ("day_low", {"level": None}, "a new low of the day"),
        ("year_high", {"level": None}, "a new 52-week high"),
        ("year_low", {"level": None}, "a new 52-week low"),
        ("no_price", {"level": None, "window_seconds": 7200}, "no price for 2 h"),
    ],
)
def test_the_frame_says_what_became_true(kind, fields, text):
    assert write_condition(make_firing(1, kind=kind, **fields)) == text


def test_each_kind_of_alert_has_a_text():
    for kind in Kind:
        assert write_condition(make_firing(1, kind=kind.value)) != UNKNOWN
    assert write_condition(make_firing(1, kind="x")) == UNKNOWN


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (90, "90 s"), (300, "5 min"), (7200, "2 h"), (86_400, "1 d"), (90_000, "25 h")]
)
def test_a_duration_has_the_largest_unit_without_a_rest(seconds, text):
    assert write_duration(seconds) == text


def test_no_client_takes_an_alert_frame_for_an_update():
    session = open_session()
    session.outbox.send([make_alert_message(make_firing(5, note="sell half", late=True))])
    [frame] = received_frames(session)
    assert not {"price", "timestamp", "seq_id"} & set(frame)
    assert frame == {
        "type": "alert",
        "id": 5,
        "alert": 3,
        "symbol": "AAPL",
        "text": "at or above 230.00",
        "note": "sell half",
        "reached": 230.1,
        "decimals": 2,
        "updated_at": 1,
        "fired_at": 1_766_480_000_000_000,
        "late": True,
        "more": False,
    }
