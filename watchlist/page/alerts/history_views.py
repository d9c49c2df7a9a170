"""Shows the firings of an account's alerts, and counts the recent firings."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import DatabaseError, connection
from django.db.models import prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from watchlist.alert_kinds import Channel, DeliveryState
from watchlist.alert_models import Delivery, Firing
from watchlist.alerts.account_alerts import AccountAlerts
from watchlist.formatting.numbers import write_number
from watchlist.page.alerts.access import read_key, require_account
from watchlist.page.alerts.list_views import read_style
from watchlist.page.alerts.rows import Style, describe_condition, moment_of
from watchlist.page.alerts.words import CHANNEL_NAMES, DELIVERY_WORDS, write_rough_duration

PAGE_LENGTH = 50
RECENT = timedelta(hours=24)
MAX_COUNTED = 100
"""The greatest number of recent firings that is counted."""

# A firing changes its alert. Therefore alerts without a recent change are left out. Each page makes this query, and an
# alert can have many thousand firings. Therefore only the newest firings of each alert are read, from an index.
COUNT_RECENT = """
SELECT COALESCE(SUM((
    SELECT COUNT(*) FROM (
        SELECT recorded_at FROM watchlist_firing WHERE alert_id = watchlist_alert.id ORDER BY arming DESC LIMIT %s
    ) AS newest WHERE recorded_at >= %s
)), 0) FROM watchlist_alert WHERE owner_id = %s AND changed_at >= %s
"""


@never_cache
@vary_on_headers("Accept-Language")
@require_safe
@require_account
def show_history(request: HttpRequest, user: User) -> HttpResponse:
    """Shows the newest firings of the account, or those before the firing whose key is in the parameter `before`."""
    style, before = read_style(request), read_key(request.GET.get("before", ""))
    firings = list(AccountAlerts(user).firings(PAGE_LENGTH + 1, before))
    shown = firings[:PAGE_LENGTH]
    prefetch_related_objects(shown, "deliveries")
    context = {
        "firings": [_describe_firing(firing, style) for firing in shown],
        "is_first": before is None,
        "older": shown[-1].pk if len(firings) > PAGE_LENGTH else None,
        "zone": style.zone,
    }
    return render(request, "watchlist/alerts/history.html", context)


def _describe_firing(firing: Firing, style: Style) -> Mapping[str, Any]:
    """Returns the texts of a row of the table of firings, by name."""
    ticker, moment = firing.alert.ticker, moment_of(firing.timestamp)
    blind_seconds = (firing.blind_us or 0) / 1_000_000
    return {
        "ticker": ticker,
        "moment": moment,
        "time": style.write_time(moment),
        "condition": describe_condition(firing.alert, style.numerals),
        "price": write_number(firing.price, ticker.decimals, style.numerals),
        "late": firing.late,
        "blind": write_rough_duration(blind_seconds) if blind_seconds > 1 else "",
        "deliveries": [_describe_delivery(delivery) for delivery in firing.deliveries.all()],
    }


def _describe_delivery(delivery: Delivery) -> Mapping[str, Any]:
    return {
        "channel": CHANNEL_NAMES[Channel(delivery.channel)],
        "state": delivery.state,
        "state_name": DELIVERY_WORDS[DeliveryState(delivery.state)],
        "attempts": delivery.attempts,
        "last_error": delivery.last_error,
    }


def count_recent_firings(user: User, now: datetime) -> int:
    """Returns how often alerts of an account fired in the last 24 hours: at most MAX_COUNTED.

    Returns 0 if the database is unavailable.
    """
    since = connection.ops.adapt_datetimefield_value(now - RECENT)
    try:
        with connection.cursor() as cursor:
            cursor.execute(COUNT_RECENT, [MAX_COUNTED, since, user.pk, since])
            return min(int(cursor.fetchone()[0]), MAX_COUNTED)
    except DatabaseError:
        return 0
