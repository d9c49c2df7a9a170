"""Adds alerts, firings and deliveries to the site of browser tests, and the state of the alert engine to its Redis."""

import json
import time

import redis

from tests.support.browser.site import STAFF, Site
from watchlist.alerts.engine_state import EngineState, EngineStates

EXECUTED = """
import json
from datetime import datetime
from django.contrib.auth.models import User
from django.utils import timezone
from feeds.models import Ticker
from watchlist.models import Alert, Delivery, Firing

user, now = User.objects.get(username={staff!r}), timezone.now()
Alert.objects.filter(owner=user).delete()
for values in json.loads({alerts!r}):
    symbol, firings, expires = values.pop("symbol"), values.pop("firings", []), values.pop("expires", "")
    values["expires_at"] = datetime.fromisoformat(expires) if expires else None
    alert = Alert.objects.create(owner=user, ticker=Ticker.objects.get(symbol=symbol), **values)
    for arming, fields in enumerate(firings, 1):
        deliveries = fields.pop("deliveries", [])
        fields = dict(arming=arming, side=-1, seq_id=1, source="simulated", evaluated_at=now) | fields
        firing = Firing.objects.create(alert=alert, timestamp=int(now.timestamp() * 1e6), **fields)
        for delivery in deliveries:
            Delivery.objects.create(firing=firing, **delivery)
"""


def set_alerts(site: Site, *alerts: dict[str, object]) -> None:
    """Replaces all alerts of the site's person.

    An alert is a dict of fields of the model, with `symbol` for the ticker. Its key `firings` holds dicts of fields of
    firings, and the key `deliveries` of a firing holds dicts of fields of deliveries.
    """
    code = EXECUTED.format(staff=STAFF, alerts=json.dumps([{"kind": "up", "side": -1} | alert for alert in alerts]))
    site.manage("shell", "--verbosity", "0", "-c", code)


STORED = """
import math, time
from feeds.models import MinuteBar, Tape
tape, _ = Tape.objects.get_or_create(symbol={symbol!r}, source="simulated")
minute = int(time.time()) // 60
prices = [{price!r} * (1 + math.sin(age / 700) / 50 + math.sin(age / 37) / 300) for age in range(7 * 1440)]
MinuteBar.objects.bulk_create([
    MinuteBar(id=MinuteBar.key(tape.pk, minute - age), open=price, high=price, low=price, close=price, count=1,
             first_us=0, last_us=1, first_seq=1, last_seq=1)
    for age, price in enumerate(prices) if age > 10
])
"""


def store_week(site: Site, symbol: str, price: float) -> None:
    """Stores a bar for each minute of the last week. The prices are a wave around `price`."""
    site.manage("shell", "--verbosity", "0", "-c", STORED.format(symbol=symbol, price=price))


def set_engine(client: redis.Redis, lag: float = 0.0, stalled: bool = False) -> None:
    """Stores the state of a running alert engine, which counts as fresh for an hour."""
    EngineStates(client).write("engine", EngineState(time.time() + 3600, lag, stalled))
    client.persist("alerts:engines")
