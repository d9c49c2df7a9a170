import json
from datetime import timedelta

import msgspec
import pytest

from tests.support.delivery.firings import FIRED_AT, FIRING
from watchlist.alert_kinds import Kind
from watchlist.alerts.delivery.condition_text import describe_condition, describe_firing
from watchlist.alerts.delivery.digest import write_subject, write_text
from watchlist.alerts.delivery.webhooks.payload import make_firing_body, make_test_body

MINUS = "\N{MINUS SIGN}"
CONDITIONS = {
    Kind.UP: "at or above 1,150.00",
    Kind.DOWN: "at or below 1,150.00",
    Kind.EITHER: "crosses 1,150.00",
    Kind.DAY_PERCENT: f"{MINUS}2.50% from the previous close",
    Kind.WINDOW_PERCENT: f"{MINUS}2.50% within 5 minutes",
    Kind.DAY_HIGH: "new high of the day",
    Kind.DAY_LOW: "new low of the day",
    Kind.YEAR_HIGH: "new high of 52 weeks",
    Kind.YEAR_LOW: "new low of 52 weeks",
    Kind.NO_PRICE: "no price for 5 minutes",
}


def replace(**fields):
    return msgspec.structs.replace(FIRING, **fields)


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_of_condition_has_a_text(kind):
    assert describe_condition(replace(kind=kind, level=1150.0, percent=-2.5, window_seconds=300)) == CONDITIONS[kind]


@pytest.mark.parametrize("kind", Kind)
def test_a_condition_without_values_has_a_text_too(kind):
    assert describe_condition(replace(kind=kind, level=None, percent=None, window_seconds=None))


def test_an_unknown_kind_spoils_no_message():
    assert describe_condition(replace(kind="later")) == "later"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(60, "1 minute"), (3600, "1 hour"), (7200, "2 hours"), (86_400, "1 day"), (90, "90 seconds"), (0, "0 seconds")],
)
def test_a_window_is_written_in_its_largest_unit(seconds, text):
    assert describe_condition(replace(kind="no_price", window_seconds=seconds)) == f"no price for {text}"


def test_a_firing_is_a_line_with_the_time_zone_of_the_account():
    assert describe_firing(FIRING, "UTC") == "AAPL: 150.10, at or above 150.00, 2026-11-22 12:00:00 UTC"
    assert describe_firing(FIRING, "Asia/Tokyo").endswith("2026-11-22 21:00:00 JST")
    assert describe_firing(replace(late=True), "UTC").endswith("UTC (late: newer prices were known before)")


def test_the_subject_names_the_firing_or_the_symbols():
    assert write_subject([]) == "Test message of stockwatch"
    assert write_subject([FIRING]) == "AAPL 150.10: at or above 150.00"
    assert write_subject([FIRING, FIRING]) == "2 alerts fired: AAPL"
    many = [replace(symbol=symbol) for symbol in "ABCD"]
    assert write_subject(many) == "4 alerts fired: A, B, C …"


def test_the_text_has_firings_notes_and_links():
    text = write_text([replace(note="sell half"), FIRING], "UTC", False, ["one", "two"])
    line = describe_firing(FIRING, "UTC")
    assert text == f"{line}\n  Note: sell half\n\n{line}\n\none\ntwo\n"


def test_a_text_names_a_hundred_firings_and_counts_the_others():
    text = write_text([FIRING] * 500, "UTC", False, [])
    assert text.count("AAPL") == 100
    assert "… and 400 more." in text
    assert write_text([FIRING] * 500, "UTC", False, [], max_lines=10).count("AAPL") == 10


def test_the_test_message_says_that_it_is_one():
    assert write_text([], "UTC", True, ["link"]).startswith("This is the test message")


def test_the_body_of_a_webhook_has_the_evidence():
    received = FIRED_AT - timedelta(milliseconds=400)
    firing = replace(received_at=received, blind_us=1_500_000, note="<b>", late=True)
    assert json.loads(make_firing_body(firing)) == {
        "type": "alert.fired",
        "timestamp": "2026-11-22T12:00:01.000000Z",
        "data": {
            "key": "12-3",
            "alert": {
                "id": 12,
                "symbol": "AAPL",
                "kind": "up",
                "level": 150.0,
                "percent": None,
                "window_seconds": None,
                "repeat": "once",
                "condition": "at or above 150.00",
                "note": "<b>",
            },
            "price": 150.1,
            "level": 150.0,
            "reference": None,
            "late": True,
            "blind_seconds": 1.5,
            "update": {
                "symbol": "AAPL",
                "price": 150.1,
                "timestamp": 1_795_348_800_000_000,
                "seq_id": 77,
                "source": "simulated",
            },
            "times": {
                "exchange": "2026-11-22T12:00:00.000000Z",
                "received": "2026-11-22T12:00:00.600000Z",
                "evaluated": "2026-11-22T12:00:01.000000Z",
                "recorded": "2026-11-22T12:00:01.000000Z",
            },
        },
    }


def test_unknown_evidence_is_null():
    data = json.loads(make_firing_body(FIRING))["data"]
    assert data["blind_seconds"] is None
    assert data["times"]["received"] is None


def test_the_body_of_a_test_message_is_of_another_type():
    assert json.loads(make_test_body(FIRED_AT))["type"] == "alert.test"
