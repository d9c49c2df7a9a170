"""Makes firings as the gateway reads them, and writes firings as the alert engine does."""

from datetime import UTC, datetime
from typing import Any

from watchlist.alert_kinds import Channel
from watchlist.alert_models import Alert, Delivery, Firing
from watchlist.gateway.firings.alert_frames import RecentFiring

FIRED_AT = 1_766_480_000_000_000
FIRING = {
    "account": 7,
    "alert": 3,
    "symbol": "AAPL",
    "decimals": 2,
    "kind": "up",
    "note": "",
    "percent": None,
    "window_seconds": None,
    "level": 230.0,
    "price": 230.1,
    "timestamp": 1,
    "recorded_at": FIRED_AT,
    "late": False,
}


def make_firing(firing_id: int, **fields: Any) -> RecentFiring:
    return RecentFiring(firing_id, **FIRING | fields)


def write_firing(
    alert: Alert, recorded_at: datetime | None = None, channels: tuple[Channel, ...] = (Channel.PAGE,), **fields: Any
) -> Firing:
    """Writes a firing and its deliveries to the database. The number of the alert's firings decides the arming."""
    now = recorded_at or datetime.now(UTC)
    values = {
        "arming": alert.firings.count() + 1,
        "side": -1,
        "level": alert.level,
        "price": 230.1,
        "timestamp": 1,
        "seq_id": 1,
        "source": "simulated",
    }
    firing = Firing.objects.create(
        alert=alert,
        **values | {"evaluated_at": now, "recorded_at": now} | fields,
    )
    Delivery.objects.bulk_create(Delivery(firing=firing, channel=channel.value) for channel in channels)
    return firing
