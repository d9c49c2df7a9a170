"""Views that show the alerts of an account, and pause, resume, delete and restore them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from watchlist.accounts.preferences import appearance_of, numerals_for
from watchlist.alert_kinds import State
from watchlist.alert_models import Alert
from watchlist.alerts.account_alerts import AccountAlerts
from watchlist.alerts.blindness import read_engine_reason
from watchlist.errors import AlertRefused, NoSuchAlert
from watchlist.page.alerts.access import read_key, require_account
from watchlist.page.alerts.rows import DEFAULT_SORT, SORTS, Style, describe_alert, make_alert_row, sort_alerts
from watchlist.prices.quotes import redis_client

SHOWN_UNDOS = 3
UNDO_TIME = timedelta(minutes=10)
"""How long after the deletion of an alert the page has an Undo button for it."""


@never_cache
@vary_on_headers("Accept-Language")  # this header decides the punctuation of numbers
@require_safe
@require_account
def show_alerts(request: HttpRequest, user: User) -> HttpResponse:
    """Shows all alerts of the account."""
    style = read_style(request)
    sort = _read_sort(request.GET.get("sort", ""))
    listed = sort_alerts(AccountAlerts(user).list(style.now), sort)
    context = {
        "rows": [make_alert_row(each, style) for each in listed],
        "engine_reason": read_engine_reason(redis_client(), style.now.timestamp()),
        "deleted": _describe_deleted(user, style),
        "sort": sort,
        "sorts": [(key, label) for key, (label, _) in SORTS.items()],
        "is_full": len(listed) >= settings.ALERTS_PER_ACCOUNT,
        "max_alerts": settings.ALERTS_PER_ACCOUNT,
    }
    return render(request, "watchlist/alerts/list.html", context)


def read_style(request: HttpRequest) -> Style:
    """Returns how to show times and numbers to the person who makes the request."""
    return Style(timezone.now(), appearance_of(request).tz, numerals_for(request))


def _read_sort(text: str) -> str:
    return text if text in SORTS else DEFAULT_SORT


def _describe_deleted(user: User, style: Style) -> Sequence[Mapping[str, Any]]:
    """Returns the keys and the names of the alerts that were deleted a short time ago, the last deleted one first."""
    deleted = Alert.objects.filter(owner=user, state=State.DELETED, changed_at__gt=style.now - UNDO_TIME)
    newest = deleted.select_related("ticker").order_by("-changed_at")[:SHOWN_UNDOS]
    return [{"pk": alert.pk, "name": describe_alert(alert, style.numerals)} for alert in newest]


@never_cache
@require_POST
@require_account
def change_alert(request: HttpRequest, user: User) -> HttpResponse:
    """Changes an alert, and shows the table of alerts again.

    The name of a form field says what to do: `pause`, `resume`, `delete`, `restore` or `write`. The value of the field
    is the key of the alert. `write` stores the field `note`. Answers 404 if the account never had the alert.
    """
    action = next((name for name in CHANGES if name in request.POST), "")
    pk = read_key(request.POST.get(action, "")) if action else None
    alert = pk and Alert.objects.filter(owner=user, pk=pk).select_related("ticker").first()
    if not alert:
        raise Http404("the account has no such alert")
    try:
        done = CHANGES[action](AccountAlerts(user), alert.pk, request.POST.get("note", ""), timezone.now())
    except AlertRefused as refusal:
        messages.error(request, str(refusal))
    else:
        if done:
            messages.success(request, f"{describe_alert(alert, numerals_for(request))}: {done}")
    sort = _read_sort(request.POST.get("sort", ""))
    query = "" if sort == DEFAULT_SORT else "?" + urlencode({"sort": sort})
    return HttpResponseRedirect(reverse("alerts") + query)


def _pause(alerts: AccountAlerts, pk: int, _note: str, now: datetime) -> str:
    alerts.pause(pk, now)
    return "the alert is paused."


def _resume(alerts: AccountAlerts, pk: int, _note: str, now: datetime) -> str:
    is_true = alerts.resume(pk, now)
    later = " The condition is true already, so the alert does not fire now. It is armed when the price has come back."
    return "the alert is active again." + (later if is_true else "")


def _delete(alerts: AccountAlerts, pk: int, _note: str, now: datetime) -> str:
    alerts.delete(pk, now)
    return ""  # the page has a sentence with an Undo button


def _restore(alerts: AccountAlerts, pk: int, _note: str, now: datetime) -> str:
    try:
        alerts.restore(pk, now)
    except NoSuchAlert as error:
        raise NoSuchAlert("This was undone already.") from error
    return "the alert is back."


def _write_note(alerts: AccountAlerts, pk: int, note: str, now: datetime) -> str:
    alerts.change_note(pk, note, now)
    return "the note is saved." if note.strip() else "the alert has no note."


CHANGES: Mapping[str, Callable[[AccountAlerts, int, str, datetime], str]] = {
    "pause": _pause,
    "resume": _resume,
    "delete": _delete,
    "restore": _restore,
    "write": _write_note,
}
"""Maps the name of a form field to the function that makes the change.

A function returns the end of the sentence that the page shows, such as `the alert is paused.` If a function returns an
empty text, the page shows no sentence.
"""
