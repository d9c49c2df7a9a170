"""Moves the level of an alert, for a line that a person drags in a chart."""

from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F

from watchlist.alert_kinds import Kind, State
from watchlist.alert_models import Alert
from watchlist.alerts.account_alerts import GONE
from watchlist.alerts.arming import SECOND_US, Condition, Market, find_side, is_true
from watchlist.alerts.conditions import LEVEL_KINDS, AlertOptions, check_options
from watchlist.errors import BadAlert, NoSuchAlert
from watchlist.prices.quotes import read_quotes


def change_level(user: User, alert_pk: int, level: float, now: datetime) -> bool:
    """Changes the level of an alert, and arms the alert anew at the newest price.

    A fired or failed alert becomes active again. A paused alert stays paused, and is not armed.

    Returns True if the newest price is at or beyond the new level already. The alert then fires only after the price
    has come back and reaches the level again. Returns False for a paused alert.

    Raises NoSuchAlert if the account has no such alert. Raises BadAlert if the alert has expired, if its level follows
    from prices, or if the new level is not allowed.
    """
    alerts = Alert.objects.filter(owner=user, pk=alert_pk).exclude(state=State.DELETED.value)
    symbol = alerts.values_list("ticker__symbol", flat=True).first()
    # Redis may take a second, so no transaction is open yet.
    quote = None if symbol is None else read_quotes([symbol]).updates.get(symbol)
    market = Market(quote, None if quote is None else quote.price, int(now.timestamp() * SECOND_US))
    with transaction.atomic():
        alert = alerts.select_for_update().first()
        if alert is None:
            raise NoSuchAlert(GONE)
        _check_change(alert, level, now)
        condition = Condition(Kind(alert.kind), level)
        is_paused = alert.state == State.PAUSED
        changes = {} if is_paused else _arm_anew(alert, condition, market)
        alerts.update(level=level, **changes, version=F("version") + 1, changed_at=now)
    return not is_paused and is_true(condition, market)


def _check_change(alert: Alert, level: float, now: datetime) -> None:
    if alert.kind not in LEVEL_KINDS:
        raise BadAlert("The level of this alert follows from prices, so it cannot be moved.")
    if alert.state == State.EXPIRED or (alert.expires_at is not None and alert.expires_at <= now):
        raise BadAlert("This alert has expired. Create a new one.")
    check_options(AlertOptions(Kind(alert.kind), level), now)


def _arm_anew(alert: Alert, condition: Condition, market: Market) -> dict[str, Any]:
    side = find_side(condition, market)
    timestamp, seq_id = (market.now, 0) if market.quote is None else market.quote.order
    order = {"since_timestamp": timestamp, "since_seq_id": seq_id, "silent_until": 0}
    state = {"state": State.ACTIVE.value, "state_reason": ""}
    return {"side": side.value, "arming": alert.arming + bool(side), **order, **state}
