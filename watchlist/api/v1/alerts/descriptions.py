"""Describes alerts, firings and deliveries as values for JSON answers."""

from collections.abc import Sequence
from typing import Any

from watchlist.alert_kinds import DeliveryState
from watchlist.alert_models import Delivery, Firing
from watchlist.alerts.account_alerts import ListedAlert
from watchlist.formatting.moments import to_microseconds


def describe_alert(listed: ListedAlert) -> dict[str, Any]:
    """Returns the keys of `AlertInfo`."""
    alert = listed.alert
    return {
        "id": alert.pk,
        "symbol": alert.ticker.symbol,
        "kind": alert.kind,
        "value": alert.percent if alert.level is None else alert.level,
        "window_seconds": alert.window_seconds,
        "repeat": alert.repeat,
        "cooldown_seconds": alert.cooldown_seconds,
        "expires_at": None if alert.expires_at is None else to_microseconds(alert.expires_at),
        "note": alert.note,
        "channels": [channel.value for channel in alert.channels],
        "state": "expired" if listed.is_expired else alert.state,
        "state_reason": alert.state_reason,
        "created_at": to_microseconds(alert.created_at),
        "level": listed.level,
        "price": listed.price,
        "distance_percent": listed.distance_percent,
        "last_fired_at": None if listed.last_firing is None else to_microseconds(listed.last_firing.recorded_at),
        "blind": listed.blind,
    }


FIRING_KEYS = ("level", "reference", "price", "timestamp", "seq_id", "source", "late")


def describe_firing(firing: Firing) -> dict[str, Any]:
    """Returns the keys of `FiringInfo`. The deliveries of the firing should be prefetched."""
    return {
        "id": firing.pk,
        "key": firing.key,
        "alert": firing.alert_id,
        "symbol": firing.alert.ticker.symbol,
        "kind": firing.alert.kind,
        **{key: getattr(firing, key) for key in FIRING_KEYS},
        "blind_seconds": None if firing.blind_us is None else firing.blind_us / 1_000_000,
        "recorded_at": to_microseconds(firing.recorded_at),
        "deliveries": describe_deliveries(sorted(firing.deliveries.all(), key=lambda each: each.pk)),
    }


def describe_deliveries(deliveries: Sequence[Delivery]) -> list[dict[str, Any]]:
    """Returns the keys of `DeliveryInfo` for each delivery."""
    return [
        {
            "channel": each.channel,
            "state": each.state,
            "attempts": each.attempts,
            "last_error": each.last_error,
            "next_attempt_at": to_microseconds(each.next_attempt_at) if each.state == DeliveryState.WAITING else None,
            "done_at": None if each.done_at is None else to_microseconds(each.done_at),
        }
        for each in deliveries
    ]
