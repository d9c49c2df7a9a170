"""The page of alerts: what it shows, and what its buttons do."""

import re
from datetime import timedelta

import pytest
import redis
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from feeds.models import Ticker
from stockwatch.local.redis_server import free_port
from tests.support.watchlist.alerts import alert_rows, fire, make_alert
from tests.support.watchlist.pages import notices_of, text_of
from watchlist.alert_models import Alert
from watchlist.alerts.engine_state import ENGINES_KEY

ALERTS, CHANGE = reverse("alerts"), reverse("change-alert")


def change(page: Client, action: str, alert: Alert, **fields: str) -> str:
    """Sends a form of the page. Returns the only notice of the page that follows."""
    response = page.post(CHANGE, {action: alert.pk, **fields}, follow=True)
    assert response.redirect_chain == [(ALERTS, 302)]
    [notice] = notices_of(response)
    return notice


def test_each_alert_has_a_row_with_all_that_is_known(page, person, put_price):
    put_price("AAPL", 160.0)
    alert = make_alert(person, note="sell <b>half</b>", repeat="each", cooldown_seconds=300, by_email=True)
    fire(alert)
    response = page.get(ALERTS)
    [row] = alert_rows(response)
    assert row.startswith("AAPL rises to 200.00 sell &lt;b&gt;half&lt;/b&gt; Active 160.00 +25.00%")
    assert re.search(r"each time, at most every 5 min never Page, E-mail \d\d:\d\d:\d\d UTC", row)
    assert "no-store" in response.headers["Cache-Control"]
    assert "Accept-Language" in response.headers["Vary"]


def test_a_percentage_shows_the_level_of_the_day(page, person, put_price):
    put_price("AAPL", 100.0)
    make_alert(person, kind="day_percent", level=None, percent=-5.0)
    [row] = alert_rows(page.get(ALERTS))
    assert row.startswith("AAPL falls 5% from the previous close Active 100.00 −5.00% to 95.00 once never Page never")


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"state": "paused"}, "Paused"),
        ({"state": "fired"}, "Fired"),
        ({"state": "expired"}, "Expired"),
        ({"state": "failed", "state_reason": "The ticker was switched off."}, "Failed The ticker was switched off."),
        ({"expires_at": timezone.now() - timedelta(hours=1)}, "Expired"),
    ],
)
def test_each_state_is_named_with_its_reason(page, person, fields, shown):
    make_alert(person, **fields)
    assert f"rises to 200.00 {shown} –" in alert_rows(page.get(ALERTS))[0]


def test_an_active_alert_says_when_it_is_armed(page, person, put_price):
    make_alert(person, side=0)
    assert "Active Armed at the first price. –" in alert_rows(page.get(ALERTS))[0]
    put_price("AAPL", 201.0)
    assert "Active Armed when the price has come back. 201.00" in alert_rows(page.get(ALERTS))[0]
    Alert.objects.update(state="paused")
    assert "Paused 201.00" in alert_rows(page.get(ALERTS))[0]
    Alert.objects.update(state="active", kind="day_high", level=None)
    assert "Active 201.00" in alert_rows(page.get(ALERTS))[0]


def test_a_blind_alert_and_the_page_say_why(page, person, store: redis.Redis):
    make_alert(person)
    store.delete(ENGINES_KEY)
    response = page.get(ALERTS)
    assert "rises to 200.00 Blind The alert engine is not running." in alert_rows(response)[0]
    assert "<strong>No alert can fire now.</strong> The alert engine is not running." in text_of(response)


def test_numbers_and_times_follow_the_person(page, person, put_price):
    put_price("AAPL", 160.0)
    make_alert(person, level=1234.5, expires_at=timezone.now().replace(2030, 1, 1, 12, 0))
    page.post(reverse("change-look"), {"zone": "Europe/Berlin"})
    [row] = alert_rows(page.get(ALERTS, headers={"accept-language": "de"}))
    assert "rises to 1.234,50" in row
    assert "2030-01-01 13:00 CET" in row


def test_the_nearest_active_alert_comes_first(page, person, put_price):
    put_price("AAPL", 100.0)
    for level, state in ((105.0, "paused"), (150.0, "active"), (110.0, "active"), (99.0, "failed")):
        make_alert(person, level=level, state=state)
    make_alert(person, "MSFT")
    levels = [re.search(r"to ([\d.]+)", row)[1] for row in alert_rows(page.get(ALERTS))]
    assert levels == ["99.00", "110.00", "150.00", "200.00", "105.00"]


@pytest.mark.parametrize(
    ("sort", "symbols"),
    [
        ("symbol", ["AAPL", "BRK.B", "MSFT"]),
        ("newest", ["AAPL", "MSFT", "BRK.B"]),
        ("fired", ["BRK.B", "AAPL", "MSFT"]),
        ("x", ["AAPL", "MSFT", "BRK.B"]),
    ],
)
def test_other_orders_can_be_chosen(page, person, put_price, sort, symbols):
    put_price("AAPL", 199.0)
    alerts = [make_alert(person, symbol) for symbol in ("BRK.B", "MSFT", "AAPL")]
    fire(alerts[0])
    if sort == "x":
        put_price("MSFT", 190.0)
    assert [row.split()[0] for row in alert_rows(page.get(ALERTS, {"sort": sort}))] == symbols


def test_an_alert_is_paused_and_resumed(page, person):
    alert = make_alert(person)
    assert change(page, "pause", alert) == "AAPL rises to 200.00: the alert is paused."
    assert Alert.objects.get().state == "paused"
    assert "Only an active alert can be paused" in change(page, "pause", alert)
    assert change(page, "resume", alert) == "AAPL rises to 200.00: the alert is active again."
    assert Alert.objects.get().state == "active"


def test_resuming_says_that_the_condition_is_true_already(page, person, put_price):
    put_price("AAPL", 201.0)
    assert "The condition is true already" in change(page, "resume", make_alert(person, state="fired"))


def test_a_deleted_alert_can_be_restored_for_ten_minutes(page, person):
    alert = make_alert(person)
    assert change(page, "delete", alert) == "AAPL rises to 200.00: the alert is deleted."
    response = page.get(ALERTS)
    assert alert_rows(response) == []
    assert f'name="restore" value="{alert.pk}"' in text_of(response)
    assert change(page, "restore", alert) == "AAPL rises to 200.00: the alert is back."
    assert len(alert_rows(page.get(ALERTS))) == 1
    assert change(page, "restore", alert) == "This was undone already."
    change(page, "delete", alert)
    Alert.objects.update(changed_at=timezone.now() - timedelta(minutes=11))
    assert "Undo" not in text_of(page.get(ALERTS))


def test_a_deleted_alert_cannot_be_changed(page, person):
    alert = make_alert(person, state="deleted")
    response = page.post(CHANGE, {"pause": alert.pk}, follow=True)
    assert "This alert no longer exists." in notices_of(response)[0]


def test_a_note_is_changed_and_removed(page, person):
    alert = make_alert(person)
    assert "the note is saved" in change(page, "write", alert, note=" sell ")
    assert Alert.objects.get().note == "sell"
    assert "This one has 201" in change(page, "write", alert, note="x" * 201)
    assert "the alert has no note" in change(page, "write", alert, note="")


def test_the_order_stays_after_a_change(page, person):
    alert = make_alert(person)
    response = page.post(CHANGE, {"pause": alert.pk, "sort": "symbol"})
    assert response.headers["Location"] == f"{ALERTS}?sort=symbol"


def test_the_page_of_a_person_without_alerts_leads_to_the_form(page):
    html = text_of(page.get(ALERTS))
    assert "You have no alerts" in html
    assert f'href="{reverse("new-alert")}"' in html


def test_the_page_says_that_no_more_alerts_are_possible(page, person, tickers: list[Ticker]):
    Alert.objects.bulk_create(Alert(owner=person, ticker=tickers[0], kind="up", level=1.0) for _ in range(200))
    html = text_of(page.get(ALERTS))
    assert "You have 200 alerts, which is the maximum." in html
    assert f'href="{reverse("new-alert")}"' not in html


def test_two_hundred_alerts_take_at_most_twelve_queries(
    page, person, tickers: list[Ticker], put_price, django_assert_max_num_queries
):
    for number in range(200):
        fire(make_alert(person, tickers[number % 15].symbol))
    with django_assert_max_num_queries(12):
        assert len(alert_rows(page.get(ALERTS))) == 200


@pytest.mark.parametrize("action", ["pause", "resume", "delete", "restore", "write"])
def test_an_alert_of_another_account_is_not_found(page, action):
    alert = make_alert(User.objects.create_user("eve"), note="secret")
    assert page.post(CHANGE, {action: alert.pk}).status_code == 404
    assert Alert.objects.get().version == 1
    assert "secret" not in text_of(page.get(ALERTS))


@pytest.mark.parametrize("key", ["", "x", "-1", "²", "9" * 18, "9" * 5000])
def test_an_invalid_key_is_not_found(page, key):
    assert page.post(CHANGE, {"delete": key}).status_code == 404
    assert page.post(CHANGE, {"wrong": "1"}).status_code == 404


def test_a_field_without_a_name_is_not_found(page, person):
    assert page.post(CHANGE, {"": make_alert(person).pk}).status_code == 404
    assert page.get(CHANGE).status_code == 405


def test_forms_of_other_sites_are_refused(person, tickers):
    client = Client(enforce_csrf_checks=True)
    client.force_login(person)
    assert client.post(CHANGE, {"delete": make_alert(person).pk}).status_code == 403


@pytest.mark.parametrize("name", ["alerts", "new-alert", "alert-history"])
def test_visitors_are_asked_to_sign_up_and_come_back(client, tickers, store, name):
    response = client.get(reverse(name) + "?symbol=BTC/USD&level=5")
    html = text_of(response)
    assert "Alerts need an account" in html
    assert f'href="/sign-up/?next={reverse(name).replace("/", "%2F")}%3Fsymbol%3DBTC/USD%26level%3D5"' in html.replace(
        "BTC%2FUSD", "BTC/USD"
    )
    assert "no-store" in response.headers["Cache-Control"]
    assert '<meta name="robots" content="noindex">' in html


def test_a_visitor_cannot_change_alerts(client, person, tickers, store):
    alert = make_alert(person)
    assert "Alerts need an account" in text_of(client.post(CHANGE, {"delete": alert.pk}))
    assert Alert.objects.get().state == "active"


def test_a_private_site_asks_visitors_to_sign_in(client, tickers, store, settings):
    settings.PRIVATE = True
    assert client.get(ALERTS).headers["Location"].startswith(reverse("sign-in"))


def test_redis_may_be_unreachable(page, person, settings):
    make_alert(person)
    settings.REDIS = settings.REDIS | {"port": free_port()}
    response = page.get(ALERTS)
    assert "Blind It is unknown whether the alert engine is running." in alert_rows(response)[0]
