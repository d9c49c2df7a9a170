"""Creates, pauses, resumes, deletes and lists the alerts of one account.

The alert engine reads these changes within a second. Each change increases `Alert.version`. By the version, the engine
notices that a firing belongs to the state before the change, and does not write the firing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, OuterRef, QuerySet, Subquery

from feeds.models import Ticker
from feeds.wire import Update
from watchlist.alert_kinds import Channel, Kind, State
from watchlist.alert_models import Alert, Firing
from watchlist.alerts.arming import SECOND_US, Condition, Market, find_side, is_true
from watchlist.alerts.blindness import find_reasons
from watchlist.alerts.conditions import AlertOptions, check_note, check_options
from watchlist.alerts.kinds.listed_levels import condition_of, read_levels, read_references
from watchlist.errors import BadAlert, NoSuchAlert, TooManyAlerts
from watchlist.lists.search import find_ticker, is_served
from watchlist.prices.quotes import read_quotes, redis_client

MAX_TYPED_SYMBOL = 100
GONE = "This alert no longer exists. It was deleted in another tab or on another device."


@dataclass(frozen=True, slots=True)
class NewAlert:
    """A created alert. `is_true` says that its condition is true already.

    An alert whose condition is true does not fire now. It is armed when the price has come back.
    """

    alert: Alert
    is_true: bool


@dataclass(frozen=True, slots=True)
class ListedAlert:
    """An alert with what a page shows beside it.

    `level` is the price at which the alert fires; for a new high or low, the high or low that the price must pass.
    `distance_percent` is how far the price must move to the level, in percent of the price. `price`, `level` and
    `distance_percent` are None if they are unknown. `is_expired` says that the alert has expired, even if the engine
    has not noted this yet. `last_firing` is None if the alert never fired. `blind` is a sentence that says why an
    active alert cannot fire now; empty if it can fire, or is not active.
    """

    alert: Alert
    price: float | None
    level: float | None
    distance_percent: float | None
    is_expired: bool
    last_firing: Firing | None
    blind: str = ""


class AccountAlerts:
    """The alerts of an account. A call for an alert of another account raises NoSuchAlert."""

    def __init__(self, user: User) -> None:
        self._user = user

    def create(self, symbol: str, options: AlertOptions, now: datetime) -> NewAlert:
        """Creates an alert for the ticker with this symbol.

        The alert is armed at the quote of the ticker. Raises BadAlert or TooManyAlerts.
        """
        options = check_options(options, now)
        ticker = find_served_ticker(symbol)
        condition = Condition(options.kind, options.value, options.window_seconds)
        arming, already = _arm(_read_market(ticker, condition, now), condition)
        alert = Alert(
            owner=self._user,
            ticker=ticker,
            **condition.columns,
            repeat=options.repeat.value,
            cooldown_seconds=options.cooldown_seconds,
            expires_at=options.expires_at,
            note=options.note,
            created_at=now,
            changed_at=now,
            **{f"by_{channel}": channel in options.channels for channel in Channel},
            **arming,
        )
        with transaction.atomic():
            self._require_room()
            alert.save(force_insert=True)
        return NewAlert(alert, already)

    def _require_room(self) -> None:
        """Raises TooManyAlerts if the account has ALERTS_PER_ACCOUNT alerts. Deleted alerts do not count.

        Locks the account until the transaction ends.
        """
        limit = settings.ALERTS_PER_ACCOUNT
        User.objects.select_for_update().filter(pk=self._user.pk).first()
        if self._alerts().count() >= limit:
            raise TooManyAlerts(f"You have {limit} alerts, which is the maximum. Delete one first.")

    def _alerts(self) -> QuerySet[Alert]:
        return Alert.objects.filter(owner=self._user).exclude(state=State.DELETED.value)

    @transaction.atomic
    def pause(self, alert_pk: int, now: datetime) -> None:
        """Pauses an active alert. Raises NoSuchAlert, or BadAlert if the alert is not active."""
        alert = self._lock(self._alerts(), alert_pk)
        if alert.state != State.ACTIVE:
            raise BadAlert(f"Only an active alert can be paused. This one is {alert.state}.")
        _change(alert, now, state=State.PAUSED.value)

    def resume(self, alert_pk: int, now: datetime) -> bool:
        """Makes a paused, fired or failed alert active again. The alert is armed anew at the quote.

        Returns whether the condition is true already. Raises NoSuchAlert, or BadAlert if the alert is active or has
        expired.
        """
        market = self._market_of(alert_pk, now)
        with transaction.atomic():
            alert = self._lock(self._alerts(), alert_pk)
            if alert.state == State.ACTIVE:
                raise BadAlert("This alert is active already.")
            if alert.expires_at is not None and alert.expires_at <= now:
                raise BadAlert("This alert has expired. Create a new one.")
            return self._activate(alert, market, now)

    def _market_of(self, alert_pk: int, now: datetime) -> Market:
        """Reads what is known about the ticker of an alert. Redis may take a second, so no transaction may be open."""
        alert = Alert.objects.filter(owner=self._user, pk=alert_pk).select_related("ticker").first()
        if alert is None:
            raise NoSuchAlert(GONE)
        return _read_market(alert.ticker, condition_of(alert), now)

    def _activate(self, alert: Alert, market: Market, now: datetime) -> bool:
        arming, already = _arm(market, condition_of(alert), alert.arming)
        _change(alert, now, state=State.ACTIVE.value, state_reason="", silent_until=0, **arming)
        return already

    @transaction.atomic
    def change_note(self, alert_pk: int, note: str, now: datetime) -> None:
        """Replaces the note of an alert. Raises NoSuchAlert or BadAlert."""
        _change(self._lock(self._alerts(), alert_pk), now, note=check_note(note))

    @transaction.atomic
    def delete(self, alert_pk: int, now: datetime) -> None:
        """Deletes an alert. `restore` undoes this. The firings stay. Raises NoSuchAlert."""
        _change(self._lock(self._alerts(), alert_pk), now, state=State.DELETED.value)

    def restore(self, alert_pk: int, now: datetime) -> None:
        """Undoes `delete`. The alert is active again and armed anew. An alert that has expired meanwhile is paused.

        Raises NoSuchAlert or TooManyAlerts.
        """
        market = self._market_of(alert_pk, now)
        with transaction.atomic():
            self._require_room()
            alert = self._lock(Alert.objects.filter(owner=self._user, state=State.DELETED.value), alert_pk)
            if alert.expires_at is not None and alert.expires_at <= now:
                _change(alert, now, state=State.EXPIRED.value)
            else:
                self._activate(alert, market, now)

    def _lock(self, alerts: QuerySet[Alert], alert_pk: int) -> Alert:
        alert = alerts.select_for_update().filter(pk=alert_pk).first()
        if alert is None:
            raise NoSuchAlert(GONE)
        return alert

    def list(self, now: datetime) -> Sequence[ListedAlert]:
        """Returns all alerts of the account with prices, levels and last firings. The newest alert comes first."""
        alerts = list(self._alerts().select_related("ticker").order_by("-id"))
        symbols = sorted({alert.ticker.symbol for alert in alerts})
        quotes, levels = read_quotes(symbols).updates, read_levels(alerts, now)
        firings = self._last_firings(alerts)
        listed = [_describe(alert, quotes.get(alert.ticker.symbol), levels[alert.pk], firings, now) for alert in alerts]
        return _add_blindness(listed, now)

    def _last_firings(self, alerts: Sequence[Alert]) -> Mapping[int, Firing]:
        # An alert can have many thousand firings, so only its newest one is read, from the index by arming.
        newest = Firing.objects.filter(alert=OuterRef("pk")).order_by("-arming").values("pk")[:1]
        found = Alert.objects.filter(pk__in=[alert.pk for alert in alerts]).order_by().values_list(Subquery(newest))
        return {firing.alert_id: firing for firing in Firing.objects.filter(pk__in=found)}

    def firings(self, limit: int, before: int | None = None) -> Sequence[Firing]:
        """Returns the newest firings of the account, also of deleted alerts.

        `before` is the id of a firing. If it is given, only older firings are returned.
        """
        firings = Firing.objects.filter(alert__owner=self._user).select_related("alert__ticker")
        return list((firings if before is None else firings.filter(pk__lt=before)).order_by("-id")[:limit])


def find_served_ticker(symbol: str) -> Ticker:
    """Returns the ticker with this symbol. Raises BadAlert if the site does not offer the symbol."""
    ticker = find_ticker(symbol[:MAX_TYPED_SYMBOL])
    if ticker is None or not is_served(ticker):
        raise BadAlert("This site has no prices for the symbol of the alert.")
    return ticker


def _read_market(ticker: Ticker, condition: Condition, now: datetime) -> Market:
    quote = read_quotes([ticker.symbol]).updates.get(ticker.symbol)
    # The price at the beginning of a window is not known here. The engine arms such an alert at the next update.
    is_window = condition.kind is Kind.WINDOW_PERCENT
    reference = None if is_window else read_references([ticker], now)[ticker.symbol]
    return Market(quote, reference, int(now.timestamp() * SECOND_US))


def _arm(market: Market, condition: Condition, arming: int = 0) -> tuple[dict[str, Any], bool]:
    """Returns the fields that arm an alert at the prices of `market`, and whether its condition is true already.

    `arming` says how often the alert was armed before. If the alert cannot be armed at these prices, the field `side`
    is Side.NONE. The engine then arms the alert at a later update.
    """
    side, quote = find_side(condition, market), market.quote
    timestamp, seq_id = (market.now, 0) if quote is None else quote.order
    order = {"since_timestamp": timestamp, "since_seq_id": seq_id}
    return {"side": side.value, "arming": arming + bool(side), **order}, is_true(condition, market)


def _change(alert: Alert, now: datetime, **fields: Any) -> None:
    Alert.objects.filter(pk=alert.pk).update(**fields, version=F("version") + 1, changed_at=now)


def _describe(
    alert: Alert, quote: Update | None, level: float | None, firings: Mapping[int, Firing], now: datetime
) -> ListedAlert:
    price = None if quote is None else quote.price
    distance = None if level is None or price is None else (level / price - 1) * 100
    is_expired = alert.expires_at is not None and alert.expires_at <= now
    return ListedAlert(alert, price, level, distance, is_expired, firings.get(alert.pk))


def _add_blindness(listed: Sequence[ListedAlert], now: datetime) -> Sequence[ListedAlert]:
    active = [each.alert for each in listed if each.alert.state == State.ACTIVE and not each.is_expired]
    if not active:
        return listed
    sources = {alert.ticker.symbol: alert.ticker.source for alert in active}
    reasons = find_reasons(redis_client(), sources, now.timestamp())
    return [
        replace(each, blind=reasons.get(each.alert.ticker.symbol, "")) if each.alert in active else each
        for each in listed
    ]
