"""Reads the prices that the lists of alerts show as levels."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from feeds.models import Ticker
from watchlist.alert_kinds import Kind
from watchlist.alert_models import Alert
from watchlist.alerts.arming import Condition
from watchlist.alerts.conditions import EXTREME_KINDS, level_of
from watchlist.prices.change import reference_price
from watchlist.prices.day import Day, PriceRange
from watchlist.prices.recent_days import read_days
from watchlist.prices.year_ranges import read_year_ranges


def condition_of(alert: Alert) -> Condition:
    """Returns the condition that the row of an alert holds."""
    value = alert.percent if alert.level is None else alert.level
    return Condition(Kind(alert.kind), value, alert.window_seconds)


def read_references(tickers: Sequence[Ticker], now: datetime) -> dict[str, float]:
    """Returns a dict from symbol to the reference price of the day."""
    days = read_days(sorted({ticker.symbol for ticker in tickers}), now)
    return {ticker.symbol: _reference_of(ticker, days) for ticker in tickers}


def read_levels(alerts: Sequence[Alert], now: datetime) -> Mapping[int, float | None]:
    """Returns a dict from alert id to the level that a page shows; None if there is no level to show."""
    days = read_days(sorted({alert.ticker.symbol for alert in alerts}), now)
    yearly = {alert.ticker.symbol for alert in alerts if alert.kind in (Kind.YEAR_HIGH, Kind.YEAR_LOW)}
    years = read_year_ranges(sorted(yearly), now)
    return {alert.pk: _level_of(alert, days, years) for alert in alerts}


def _reference_of(ticker: Ticker, days: Mapping[str, Day]) -> float:
    day = days.get(ticker.symbol)
    return reference_price(ticker.base_price, None if day is None else day.previous_close)


def _level_of(alert: Alert, days: Mapping[str, Day], years: Mapping[str, PriceRange]) -> float | None:
    condition, symbol = condition_of(alert), alert.ticker.symbol
    if condition.kind in EXTREME_KINDS:
        day = None if symbol not in days else days[symbol].range
        is_year = condition.kind in (Kind.YEAR_HIGH, Kind.YEAR_LOW)
        prices = years[symbol].join(day) if is_year and symbol in years else day
        return None if prices is None else _extreme_of(condition.kind, prices)
    if condition.value is None or condition.kind is Kind.WINDOW_PERCENT:
        return None
    return level_of(condition.kind, condition.value, _reference_of(alert.ticker, days))


def _extreme_of(kind: Kind, prices: PriceRange) -> float:
    return prices.high if kind in (Kind.DAY_HIGH, Kind.YEAR_HIGH) else prices.low
