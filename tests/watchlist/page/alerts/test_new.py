"""The form for a new alert: what it creates, what it refuses, and what it keeps."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from feeds.models import Ticker
from feeds.wire import Update
from stockwatch.local.redis_server import RedisServer
from tests.support.recording.recorded_bars import RecordedBars
from tests.support.watchlist.alerts import make_alert
from tests.support.watchlist.pages import notices_of, text_of
from watchlist.alert_models import Alert
from watchlist.alerts.conditions import CREATABLE

ALERTS, NEW = reverse("alerts"), reverse("new-alert")
UP = {"symbol": "AAPL", "kind": "up", "level": "200", "repeat": "once", "channels": ["page"], "do": "create"}


def errors_of(response) -> dict[str, str]:
    """Returns the error beside each field of the form."""
    found = re.findall(r'id="id_(\w+)_error"><li>(.*?)</li>', text_of(response))
    return dict(found)


def test_an_alert_is_created_and_shown(page, put_price):
    put_price("AAPL", 160.0)
    response = page.post(NEW, {**UP, "symbol": " aapl ", "note": " sell "}, follow=True)
    assert response.redirect_chain == [(ALERTS, 302)]
    assert notices_of(response) == ["AAPL rises to 200.00: the alert is active."]
    alert = Alert.objects.get()
    assert (alert.ticker.symbol, alert.level, alert.note, alert.repeat, alert.expires_at) == (
        "AAPL",
        200.0,
        "sell",
        "once",
        None,
    )


def test_all_options_are_stored(page, person):
    person.email = "ada@example.com"
    person.save()
    page.post(reverse("change-look"), {"zone": "Europe/Berlin"})
    values = {"kind": "day_percent", "percent": "-5", "repeat": "each", "cooldown": "90", "expires": "2030-01-01T13:00"}
    assert page.post(NEW, {**UP, **values, "channels": ["page", "email"]}).status_code == 302
    alert = Alert.objects.get()
    assert (alert.kind, alert.level, alert.percent, alert.repeat) == ("day_percent", None, -5.0, "each")
    assert alert.cooldown_seconds == 5400
    assert alert.expires_at == datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert (alert.by_page, alert.by_email) == (True, True)


def test_a_change_within_a_time_is_stored_and_shown(page):
    values = {"kind": "window_percent", "percent": "-5", "minutes": "90"}
    response = page.post(NEW, {**UP, **values}, follow=True)
    assert notices_of(response) == ["AAPL falls 5% within 90 min: the alert is active."]
    alert = Alert.objects.get()
    assert (alert.level, alert.percent, alert.window_seconds) == (None, -5.0, 5400)


def test_an_alert_on_missing_prices_is_stored_and_has_no_preview(page):
    values = {"kind": "no_price", "level": "", "minutes": "10"}
    assert "cannot be said" in text_of(page.post(NEW, {**UP, **values, "do": "preview"}))
    response = page.post(NEW, {**UP, **values}, follow=True)
    assert notices_of(response) == ["AAPL has no price for 10 min: the alert is active."]
    assert Alert.objects.get().window_seconds == 600


def test_a_new_high_needs_no_number(page):
    response = page.post(NEW, {**UP, "kind": "year_high", "level": ""}, follow=True)
    assert notices_of(response) == ["AAPL makes a new 52-week high: the alert is active."]


def test_a_condition_that_is_true_already_is_said_and_does_not_fire(page, put_price):
    put_price("AAPL", 201.0)
    [notice] = notices_of(page.post(NEW, UP, follow=True))
    assert "The condition is true already, so the alert does not fire now." in notice
    assert Alert.objects.get().state == "active"


@pytest.mark.parametrize(
    ("values", "field", "error"),
    [
        ({"symbol": ""}, "symbol", "Name a symbol."),
        ({"symbol": "NOPE"}, "symbol", "This site has no prices for the symbol of the alert."),
        ({"symbol": "A\0B"}, "symbol", "Null characters are not allowed."),
        ({"symbol": "A" * 5000}, "symbol", "Ensure this value has at most 100 characters (it has 5000)."),
        ({"kind": "moon"}, "kind", "Select a valid choice. moon is not one of the available choices."),
        ({"level": ""}, "level", "Type a number."),
        ({"level": "x"}, "level", "Enter a number."),
        ({"level": "nan"}, "level", "Enter a number."),
        ({"level": "1e999"}, "level", "Enter a number."),
        ({"level": "-1"}, "level", "A level is above 0 and below 1,000,000,000,000."),
        ({"level": "1,5"}, "level", "Enter a number."),
        ({"kind": "day_percent"}, "percent", "Type a number."),
        ({"kind": "day_percent", "percent": "0"}, "percent", "A percentage is from -99.99 to 10,000, and not 0."),
        ({"kind": "window_percent", "percent": "5"}, "minutes", "Type a number."),
        ({"kind": "window_percent", "percent": "5", "minutes": "1441"}, "minutes", "Ensure this value is less than"),
        ({"kind": "window_percent", "percent": "0", "minutes": "5"}, "percent", "A percentage is from -99.99"),
        ({"repeat": "each", "cooldown": ""}, "cooldown", "Type a number."),
        ({"repeat": "each", "cooldown": "0"}, "cooldown", "Ensure this value is greater than or equal to 1."),
        ({"repeat": "x"}, "repeat", "Select a valid choice. x is not one of the available choices."),
        ({"expires": "tomorrow"}, "expires", "Enter a valid date/time."),
        ({"expires": "2001-01-01T00:00"}, "expires", "The expiry of an alert is in the future"),
        ({"expires": "9999-12-31T23:59"}, "expires", "The expiry of an alert is in the future"),
        ({"note": "a\u202eb"}, "note", "A note cannot contain control characters."),
        ({"note": "x" * 201}, "note", "Ensure this value has at most 200 characters (it has 201)."),
    ],
)
def test_an_error_is_beside_its_field_and_typed_values_are_kept(page, values, field, error):
    response = page.post(NEW, {**UP, "note": "keep me", **values})
    assert response.status_code == 422
    errors = errors_of(response)
    assert list(errors) == [field]
    assert errors[field].startswith(error)
    assert not Alert.objects.exists()
    assert ("keep me" in text_of(response)) == (field != "note")


@pytest.mark.parametrize(
    "values",
    [
        {"percent": "x", "minutes": "1441", "cooldown": "0"},
        {"kind": "day_percent", "percent": "5", "level": "x", "minutes": "x"},
        {"kind": "no_price", "minutes": "5", "level": "x", "percent": "x"},
    ],
)
def test_a_wrong_number_in_a_field_that_the_page_hides_does_not_matter(page, values):
    response = page.post(NEW, {**UP, **values})
    assert (errors_of(response), response.status_code) == ({}, 302)
    assert Alert.objects.count() == 1


def test_channels_that_the_account_lacks_are_refused(page):
    assert "is not one of the available choices" in text_of(page.post(NEW, {**UP, "channels": ["email"]}))
    assert "Choose at least one way to be told." in text_of(page.post(NEW, {**UP, "channels": []}))
    assert not Alert.objects.exists()


def test_the_form_offers_the_kinds_that_can_be_created_and_the_channels_that_work(page, person):
    html = text_of(page.get(NEW))
    assert re.findall(r'<option value="(\w+)"', html.partition('id="id_kind"')[2].partition("</select>")[0]) == [
        *CREATABLE
    ]
    assert 'value="email"' not in html
    assert f'Other ways, such as e-mail, are <a href="{reverse("delivery")}">' in html
    person.email = "ada@example.com"
    person.save()
    assert 'value="email"' in text_of(page.get(NEW))


def test_levels_near_the_price_are_suggested_and_keep_what_was_typed(page, put_price):
    put_price("AAPL", 1000.0)
    html = text_of(page.get(NEW, {"symbol": "AAPL"}))
    assert "Last price: <strong>1,000.00</strong>" in html
    assert re.findall(r'name="suggest" value="(.*?)"', html) == [
        "-950.00",
        "-980.00",
        "-990.00",
        "+1010.00",
        "+1020.00",
        "+1050.00",
    ]
    html = text_of(page.post(NEW, {**UP, "do": "", "suggest": "-950.00", "note": "keep me"}))
    assert 'name="level" value="950.00"' in html
    assert '<option value="down" selected>' in html
    assert 'value="keep me"' in html
    html = text_of(page.post(NEW, {**UP, "do": "", "kind": "either", "suggest": "+1010.00"}))
    assert '<option value="either" selected>' in html
    assert not Alert.objects.exists()


def test_a_symbol_without_a_price_has_no_suggestions(page):
    html = text_of(page.get(NEW, {"symbol": "MSFT", "level": "5"}))
    assert "MSFT has no price now." in html
    assert 'name="level" value="5"' in html
    assert "Show the last price" in text_of(page.get(NEW))
    assert "Show the last price" in text_of(page.get(NEW, {"symbol": "NOPE<"}))


def test_a_form_that_is_sent_twice_creates_one_alert(page):
    key = re.search(r'name="form" value="(\w+)"', text_of(page.get(NEW)))[1]
    page.post(NEW, {**UP, "form": key})
    response = page.post(NEW, {**UP, "form": key}, follow=True)
    assert notices_of(response)[-1] == "This form was sent before. No second alert was created."
    assert Alert.objects.count() == 1
    page.post(NEW, {**UP, "form": key, "level": "201"})  # the person went back and changed the form
    other = re.search(r'name="form" value="(\w+)"', text_of(page.get(NEW)))[1]
    page.post(NEW, {**UP, "form": other})
    assert Alert.objects.count() == 3


def test_a_form_whose_alert_could_not_be_stored_can_be_sent_again(page):
    def refuse(execute, sql, params, many, context):
        if sql.startswith('INSERT INTO "watchlist_alert"'):
            raise OperationalError("database is locked")
        return execute(sql, params, many, context)

    page.raise_request_exception = False
    with connection.execute_wrapper(refuse):
        assert page.post(NEW, {**UP, "form": "a"}).status_code >= 500
    response = page.post(NEW, {**UP, "form": "a"}, follow=True)
    assert notices_of(response) == ["AAPL rises to 200.00: the alert is active."]
    assert Alert.objects.count() == 1


def test_one_more_than_the_maximum_is_refused_and_works_after_a_deletion(page, person, tickers: list[Ticker]):
    Alert.objects.bulk_create(Alert(owner=person, ticker=tickers[0], kind="up", level=1.0) for _ in range(200))
    response = page.post(NEW, {**UP, "form": "a"})
    assert response.status_code == 422
    assert text_of(response).count("You have 200 alerts, which is the maximum.") == 1
    Alert.objects.first().delete()
    assert page.post(NEW, {**UP, "form": "a"}).status_code == 302


def test_forms_of_other_sites_are_refused(person, tickers):
    client = Client(enforce_csrf_checks=True)
    client.force_login(person)
    assert client.post(NEW, UP).status_code == 403


def test_a_person_who_signs_up_for_an_alert_comes_back_to_the_form(client, tickers, store):
    target = f"{NEW}?symbol=AAPL"
    form = {"username": "ada", "password1": "a long and private phrase", "password2": "a long and private phrase"}
    html = text_of(client.get(reverse("sign-up"), {"next": target}))
    assert f'name="next" value="{target}"' in html
    assert client.post(reverse("sign-up"), {**form, "next": target}).headers["Location"] == target


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_signing_up_leads_to_no_other_site(client, tickers, store, target):
    form = {"username": "ada", "password1": "a long and private phrase", "password2": "a long and private phrase"}
    assert client.post(reverse("sign-up"), {**form, "next": target}).headers["Location"] == "/"


def test_the_preview_counts_and_lists_the_firings_of_the_last_week(page, put_hour):
    minute = int(time.time()) // 60
    put_hour("AAPL", [190.0, 200.0, 190.0, 205.0, 210.0], minute)
    html = text_of(page.post(NEW, {**UP, "do": "preview", "repeat": "each", "cooldown": "1", "note": "keep me"}))
    assert "Would have fired 2 times in the last 7 days." in html
    assert 'value="keep me"' in html
    times = re.findall(r'<th scope="row"><time datetime="(.*?)">.*?</th><td>(.*?)</td>', html)
    assert times == [
        (datetime.fromtimestamp((minute - age) * 60, UTC).isoformat(), price)
        for age, price in ((1, "205.00"), (3, "200.00"))
    ]
    assert html.count('r="4"/>') == 2
    assert not Alert.objects.exists()


def test_the_preview_of_an_alert_that_fires_once_says_so(page, put_hour):
    put_hour("AAPL", [190.0, 200.0, 190.0, 205.0], int(time.time()) // 60)
    html = text_of(page.post(NEW, {**UP, "do": "preview"}))
    assert "at the first of these times only" in html


def test_the_preview_of_a_symbol_without_bars_says_that_nothing_is_known(page):
    html = text_of(page.post(NEW, {**UP, "do": "preview"}))
    assert "it is unknown how often it would have fired" in html


@pytest.fixture
def recorded(redis_server: RedisServer) -> Iterator[RecordedBars]:
    bars = RecordedBars(redis_server)
    yield bars
    bars.close()


@pytest.mark.parametrize(
    ("kind", "percent", "fired"),
    [("day_percent", "5", ["106.00"]), ("day_high", "", ["106.00"]), ("year_high", "", []), ("day_low", "", [])],
)
def test_the_preview_reads_the_days_and_minutes_of_the_database(page, recorded, kind, percent, fired):
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
    prices = [(3, 0, 150.0), (2, 0, 99.0), (1, 0, 100.0), (0, 0, 104.0), (0, 10, 106.0), (0, 20, 106.0)]
    moments = [(noon - timedelta(days=days) + timedelta(minutes=minutes), price) for days, minutes, price in prices]
    recorded.record(
        *(Update("AAPL", price, int(at.timestamp() * 1e6), number) for number, (at, price) in enumerate(moments, 1))
    )
    html = text_of(page.post(NEW, {**UP, "kind": kind, "percent": percent, "do": "preview"}))
    assert re.findall(r"</time></th><td>(.*?)</td>", html) == fired
    assert f"since {moments[0][0]:%Y-%m-%d %H:%M} UTC" in html


def test_the_form_takes_at_most_ten_queries(page, person, put_price, django_assert_max_num_queries):
    put_price("AAPL", 100.0)
    make_alert(person, expires_at=timezone.now() + timedelta(days=1))
    with django_assert_max_num_queries(10):
        page.get(NEW, {"symbol": "AAPL"})
