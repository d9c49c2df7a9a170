"""Makes alerts and firings of an account, and reads the pages of alerts."""

import re
from datetime import datetime

from django.contrib.auth.models import User
from django.http import HttpResponse
from django.utils import timezone

from feeds.models import Ticker
from watchlist.alert_kinds import Channel, DeliveryState
from watchlist.alert_models import Alert, Delivery, Firing


def make_alert(user: User, symbol: str = "AAPL", level: float | None = 200.0, **fields: object) -> Alert:
    """Stores an alert on a symbol, which is armed below its level."""
    ticker = Ticker.objects.get(symbol=symbol)
    return Alert.objects.create(**{"owner": user, "ticker": ticker, "kind": "up", "level": level, "side": -1} | fields)


def fire(alert: Alert, arming: int = 1, price: float = 201.0, at: datetime | None = None, **fields: object) -> Firing:
    """Records a firing of an alert at the time `at`, or now."""
    moment = at or timezone.now()
    times = {"timestamp": int(moment.timestamp() * 1_000_000), "evaluated_at": moment, "recorded_at": moment}
    values = {"alert": alert, "arming": arming, "side": -1, "price": price, "seq_id": 1, "source": "simulated"}
    Alert.objects.filter(pk=alert.pk).update(changed_at=moment)
    return Firing.objects.create(**values | times | fields)


def fail(firing: Firing, channel: Channel, attempts: int, error: str) -> Delivery:
    """Records a delivery of a firing that has failed for good."""
    return Delivery.objects.create(
        firing=firing, channel=channel, state=DeliveryState.FAILED, attempts=attempts, last_error=error
    )


def alert_rows(response: HttpResponse) -> list[str]:
    """Returns the text of each row of the table, with single spaces between words."""
    rows = re.findall(r"<tr.*?</tr>", response.content.decode(), re.DOTALL)[1:]
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]
