from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from feeds.models import Ticker
from watchlist.alert_models import Alert, Firing


def make_alert(owner: User, ticker: Ticker) -> Alert:
    return Alert.objects.create(owner=owner, ticker=ticker, kind="up", level=100.0, changed_at="2026-11-22T00:00:00Z")


def test_a_change_in_the_admin_is_one_that_the_alert_engine_finds(
    admin_client: Client, person: User, tickers: list[Ticker]
):
    alert = make_alert(person, tickers[0])
    before = alert.changed_at
    form = {"owner": person.pk, "state": "paused", "by_page": "on"}
    answer = admin_client.post(reverse("admin:watchlist_alert_change", args=[alert.pk]), form)
    assert answer.status_code == 302
    alert.refresh_from_db()
    assert (alert.state, alert.version) == ("paused", 2)
    assert alert.changed_at.isoformat() > before


def test_the_admin_neither_adds_an_alert_nor_changes_its_condition(
    admin_client: Client, person: User, tickers: list[Ticker]
):
    alert = make_alert(person, tickers[0])
    form = {"owner": person.pk, "ticker": tickers[1].pk, "kind": "day_percent", "level": "", "percent": "5"}
    rest = {"repeat": "each", "cooldown_seconds": "4294967296", "state": "active", "by_page": "on"}
    answer = admin_client.post(reverse("admin:watchlist_alert_change", args=[alert.pk]), form | rest)
    assert answer.status_code == 302
    alert.refresh_from_db()
    assert (alert.ticker, alert.kind, alert.level, alert.percent) == (tickers[0], "up", 100.0, None)
    assert (alert.repeat, alert.cooldown_seconds) == ("once", 0)
    assert admin_client.get(reverse("admin:watchlist_alert_add")).status_code == 403


def test_firings_are_shown_in_the_admin_and_cannot_be_changed(
    admin_client: Client, person: User, tickers: list[Ticker]
):
    alert = make_alert(person, tickers[0])
    firing = Firing.objects.create(
        alert=alert, arming=1, side=-1, price=101.5, timestamp=1, seq_id=1, evaluated_at="2026-11-22T00:00:00Z"
    )
    assert "101.5" in admin_client.get(reverse("admin:watchlist_firing_changelist")).content.decode()
    assert admin_client.get(reverse("admin:watchlist_alert_changelist")).status_code == 200
    assert admin_client.post(reverse("admin:watchlist_firing_change", args=[firing.pk]), {}).status_code == 403
    assert admin_client.get(reverse("admin:watchlist_firing_add")).status_code == 403
