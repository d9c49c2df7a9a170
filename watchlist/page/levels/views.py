"""Views with which the chart in the drawer shows and moves the levels of alerts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from feeds.models import Ticker
from watchlist.accounts.page_owner import require_same_owner
from watchlist.alert_kinds import Kind, State
from watchlist.alert_models import Alert
from watchlist.alerts.account_alerts import MAX_TYPED_SYMBOL
from watchlist.alerts.conditions import LEVEL_KINDS, percent_level
from watchlist.alerts.level_changes import change_level
from watchlist.errors import AlertRefused, NoSuchAlert
from watchlist.lists.search import find_ticker
from watchlist.prices.change import reference_price
from watchlist.prices.recent_days import read_days

SHOWN_STATES = (State.ACTIVE.value, State.PAUSED.value)
SHOWN_KINDS = (*LEVEL_KINDS, Kind.DAY_PERCENT)
MAX_DIGITS = 18
MAX_LEVEL_LENGTH = 30


@never_cache
@require_safe
@require_same_owner
def show_levels(request: HttpRequest) -> HttpResponse:
    """Answers with the levels of the active and paused alerts on a symbol, the newest alert first.

    Leaves out alerts without a level, such as alerts on a new high. A visitor has no alerts. Answers 404 if no
    ticker has the symbol.
    """
    ticker = find_ticker(request.GET.get("symbol", "")[:MAX_TYPED_SYMBOL])
    if ticker is None:
        return JsonResponse({"error": "No ticker has this symbol."}, status=404)
    return JsonResponse({"alerts": _read_levels(request.user, ticker) if isinstance(request.user, User) else []})


def _read_levels(user: User, ticker: Ticker) -> Sequence[dict[str, Any]]:
    now = timezone.now()
    own = Alert.objects.filter(owner=user, ticker=ticker, state__in=SHOWN_STATES, kind__in=SHOWN_KINDS)
    alerts = list(own.exclude(expires_at__lte=now).order_by("-pk")[: settings.ALERTS_PER_ACCOUNT])
    has_percent = any(alert.level is None for alert in alerts)
    reference = _read_reference(ticker, now) if has_percent else 0.0
    return [
        {
            "id": alert.pk,
            "kind": alert.kind,
            "level": percent_level(reference, alert.percent or 0.0) if alert.level is None else alert.level,
            "percent": alert.percent,
            "movable": alert.level is not None,
            "paused": alert.state == State.PAUSED,
            "note": alert.note,
        }
        for alert in alerts
    ]


def _read_reference(ticker: Ticker, now: datetime) -> float:
    day = read_days([ticker.symbol], now).get(ticker.symbol)
    return reference_price(ticker.base_price, None if day is None else day.previous_close)


@require_POST
@require_same_owner
def move_level(request: HttpRequest) -> HttpResponse:
    """Gives the alert in the field `alert` the level in the field `level`.

    The answer says whether the condition is true already. A refused change is answered with a sentence to show.
    """
    number, level = _read_number(request.POST.get("alert", "")), _read_level(request.POST.get("level", ""))
    if not isinstance(request.user, User):
        return JsonResponse({"error": "Sign in to move an alert."}, status=403)
    try:
        is_true = change_level(request.user, number, level, timezone.now())
    except AlertRefused as refusal:
        return JsonResponse({"error": str(refusal)}, status=404 if isinstance(refusal, NoSuchAlert) else 422)
    return JsonResponse({"level": level, "is_true": is_true})


def _read_number(text: str) -> int:
    """Returns the id of an alert, or 0, which no alert has."""
    return int(text) if len(text) <= MAX_DIGITS and text.isascii() and text.isdecimal() else 0


def _read_level(text: str) -> float:
    """Returns a level, or 0, which is not allowed."""
    try:
        return float(text) if len(text) <= MAX_LEVEL_LENGTH else 0.0
    except ValueError:
        return 0.0
