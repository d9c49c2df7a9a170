"""Makes firings to deliver."""

from datetime import UTC, datetime

from watchlist.alerts.delivery.turns import DueFiring

FIRED_AT = datetime(2026, 11, 22, 12, 0, 1, tzinfo=UTC)

FIRING = DueFiring(
    delivery_pk=1,
    attempts=0,
    key="12-3",
    alert_pk=12,
    symbol="AAPL",
    decimals=2,
    kind="up",
    level=150.0,
    percent=None,
    window_seconds=None,
    repeat="once",
    note="",
    fired_level=150.0,
    reference=None,
    price=150.1,
    timestamp=1_795_348_800_000_000,
    seq_id=77,
    source="simulated",
    late=False,
    blind_us=None,
    received_at=None,
    evaluated_at=FIRED_AT,
    recorded_at=FIRED_AT,
)
"""AAPL at 150.10, at 2026-11-22 12:00:00 UTC."""
