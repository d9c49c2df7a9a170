"""Writes accounts, alerts, firings and deliveries to the database of Django."""

from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.models import User

from feeds.models import Ticker
from watchlist.alert_kinds import Channel
from watchlist.alert_models import Alert, Delivery, Firing
from watchlist.alerts.delivery.webhooks.signature import make_secret
from watchlist.delivery_models import DeliveryTarget


def add_account(name: str, url: str = "", email: str = "") -> User:
    """Creates an account, with a webhook if `url` is not empty."""
    owner = User.objects.create(username=name, email=email)
    if url:
        DeliveryTarget.objects.create(owner=owner, channel=Channel.WEBHOOK.value, url=url, secret=make_secret())
    return owner


def fire(owner: User, channel: Channel, now: datetime, count: int = 1, symbol: str = "AAPL") -> Sequence[Delivery]:
    """Creates an alert that has fired `count` times, with a waiting delivery for each firing."""
    ticker, _ = Ticker.objects.get_or_create(symbol=symbol, defaults={"base_price": 100.0})
    alert = Alert.objects.create(owner=owner, ticker=ticker, kind="up", level=150.0, repeat="each")
    firings = Firing.objects.bulk_create(
        Firing(
            alert=alert,
            arming=number,
            side=-1,
            level=150.0,
            price=150.1,
            timestamp=int(now.timestamp() * 1e6),
            seq_id=number,
            evaluated_at=now,
            recorded_at=now,
        )
        for number in range(1, count + 1)
    )
    return Delivery.objects.bulk_create(
        Delivery(firing=firing, channel=channel.value, next_attempt_at=now) for firing in firings
    )
