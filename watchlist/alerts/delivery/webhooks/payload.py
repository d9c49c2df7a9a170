"""Makes the JSON bodies of webhooks. `docs/webhooks.md` documents them. Pure."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from watchlist.alerts.delivery.condition_text import describe_condition, time_of
from watchlist.alerts.delivery.turns import DueFiring

MICROSECONDS = 1_000_000


def make_firing_body(firing: DueFiring) -> bytes:
    """Returns the body about a firing. It is the same at each attempt."""
    data = {
        "key": firing.key,
        "alert": _describe_alert(firing),
        "price": firing.price,
        "level": firing.fired_level,
        "reference": firing.reference,
        "late": firing.late,
        "blind_seconds": None if firing.blind_us is None else firing.blind_us / MICROSECONDS,
        "update": _describe_update(firing),
        "times": {
            "exchange": _write_time(time_of(firing)),
            "received": _write_time(firing.received_at),
            "evaluated": _write_time(firing.evaluated_at),
            "recorded": _write_time(firing.recorded_at),
        },
    }
    return _encode("alert.fired", firing.recorded_at, data)


def make_test_body(asked_at: datetime) -> bytes:
    """Returns the body of the test message that a person asked for."""
    return _encode("alert.test", asked_at, {"message": "This is a test message. No alert has fired."})


def _describe_alert(firing: DueFiring) -> dict[str, Any]:
    return {
        "id": firing.alert_pk,
        "symbol": firing.symbol,
        "kind": firing.kind,
        "level": firing.level,
        "percent": firing.percent,
        "window_seconds": firing.window_seconds,
        "repeat": firing.repeat,
        "condition": describe_condition(firing),
        "note": firing.note,
    }


def _describe_update(firing: DueFiring) -> dict[str, Any]:
    return {
        "symbol": firing.symbol,
        "price": firing.price,
        "timestamp": firing.timestamp,
        "seq_id": firing.seq_id,
        "source": firing.source,
    }


def _encode(kind: str, moment: datetime, data: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"type": kind, "timestamp": _write_time(moment), "data": data})


def _write_time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
