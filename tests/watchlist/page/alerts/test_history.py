"""The page with the history of firings, and the count in the header."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from tests.support.watchlist.alerts import alert_rows, fail, fire, make_alert
from tests.support.watchlist.pages import text_of
from watchlist.alert_kinds import Channel
from watchlist.alert_models import Delivery, Firing
from watchlist.page.alerts.history_views import MAX_COUNTED, count_recent_firings

HISTORY = reverse("alert-history")


def test_each_firing_has_a_row_with_its_deliveries(page, person):
    firing = fire(make_alert(person), late=True)
    Delivery.objects.create(firing=firing, channel=Channel.PAGE, state="done", attempts=1)
    Delivery.objects.create(firing=firing, channel=Channel.WEBHOOK, attempts=2, last_error="status 500")
    fail(firing, Channel.EMAIL, 9, "the server refused <b>the address</b>")
    [row] = alert_rows(page.get(HISTORY))
    assert "UTC Late AAPL rises to 200.00 201.00 Page delivered" in row
    assert "Webhook waiting 2 attempts status 500" in row
    assert "E-mail failed 9 attempts the server refused &lt;b&gt;the address&lt;/b&gt;" in row


@pytest.mark.parametrize(
    ("blind_us", "text"),
    [(None, ""), (1_000_000, ""), (1_100_000, "blind 1 s before"), (180_000_000, "blind 3 min before")],
)
def test_a_row_says_for_how_long_the_alert_was_blind(page, person, blind_us, text):
    fire(make_alert(person), blind_us=blind_us)
    [row] = alert_rows(page.get(HISTORY))
    assert row.partition(" AAPL")[0].endswith(text or "UTC")


def test_firings_of_deleted_alerts_stay(page, person):
    fire(make_alert(person, state="deleted"))
    assert len(alert_rows(page.get(HISTORY))) == 1


def test_a_long_history_is_shown_in_pages(page, person):
    alert = make_alert(person)
    for arming in range(1, 53):
        fire(alert, arming, price=300.0 + arming)
    first = page.get(HISTORY)
    rows = alert_rows(first)
    assert len(rows) == 50
    assert "352.00" in rows[0]
    oldest = Firing.objects.get(arming=3).pk
    assert f'href="?before={oldest}"' in text_of(first)
    second = page.get(HISTORY, {"before": oldest})
    assert ["301.00" in row for row in alert_rows(second)] == [False, True]
    assert 'rel="next"' not in text_of(second)
    assert f'<a href="{HISTORY}">Newest</a>' in text_of(second)


@pytest.mark.parametrize("before", ["x", "-1", "9" * 30])
def test_an_invalid_page_is_the_first_one(page, person, before):
    fire(make_alert(person))
    assert len(alert_rows(page.get(HISTORY, {"before": before}))) == 1


def test_a_page_of_fifty_firings_takes_at_most_eight_queries(page, person, django_assert_max_num_queries):
    alert = make_alert(person)
    for arming in range(1, 61):
        fail(fire(alert, arming), Channel.EMAIL, 1, "x")
    with django_assert_max_num_queries(8):
        assert len(alert_rows(page.get(HISTORY))) == 50


def test_an_empty_history_says_so(page):
    assert "No alert has fired yet" in text_of(page.get(HISTORY))
    assert "There are no older firings" in text_of(page.get(HISTORY, {"before": "1"}))


def test_firings_of_other_accounts_are_not_shown(page):
    fire(make_alert(User.objects.create_user("eve")))
    assert alert_rows(page.get(HISTORY)) == []
    assert "in the last 24 hours" not in text_of(page.get("/"))


def test_the_header_counts_the_firings_of_the_last_day(page, person):
    alert = make_alert(person)
    html = text_of(page.get("/"))
    assert f'<a href="{reverse("alerts")}">Alerts</a>' in html
    assert "in the last 24 hours" not in html
    fire(alert, at=timezone.now() - timedelta(hours=25))
    assert "in the last 24 hours" not in text_of(page.get("/"))
    fire(alert, 2)
    assert '<b>1</b><span class="hidden"> firing in the last 24 hours</span>' in text_of(page.get("/"))
    fire(alert, 3)
    assert '<b>2</b><span class="hidden"> firings in the last 24 hours</span>' in text_of(page.get("/settings/"))


def test_the_count_is_bounded(person, tickers, settings):
    alert = make_alert(person)
    firings = [
        Firing(alert=alert, arming=number, side=-1, price=1, timestamp=1, seq_id=1, evaluated_at=timezone.now())
        for number in range(MAX_COUNTED + 5)
    ]
    Firing.objects.bulk_create(firings)
    assert count_recent_firings(person, timezone.now()) == MAX_COUNTED
