from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User

from feeds.models import Ticker
from watchlist.alert_models import Alert, Delivery, Firing
from watchlist.alerts import old_firings
from watchlist.alerts.old_firings import delete_old_firings

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_old_firings_are_deleted_in_parts_with_their_deliveries(
    person: User, tickers: list[Ticker], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(old_firings, "FIRINGS_PER_TRANSACTION", 2)
    alert = Alert.objects.create(owner=person, ticker=tickers[0], kind="up", level=1.0)
    for arming in range(1, 7):
        firing = Firing.objects.create(
            alert=alert,
            arming=arming,
            side=-1,
            price=200.0,
            timestamp=1,
            seq_id=1,
            evaluated_at=NOW,
            recorded_at=NOW + timedelta(days=arming),
        )
        Delivery.objects.create(firing=firing, channel="page")
    assert delete_old_firings(NOW + timedelta(days=6)) == 5
    assert [firing.arming for firing in Firing.objects.all()] == [6]
    assert Delivery.objects.count() == 1
    assert delete_old_firings(NOW + timedelta(days=6)) == 0
