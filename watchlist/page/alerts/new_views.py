"""A view with which a person previews and creates an alert."""

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import SessionBase
from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django.views.decorators.vary import vary_on_headers

from feeds.models import Ticker
from watchlist.alert_kinds import Channel, Kind, State
from watchlist.alert_models import Alert
from watchlist.alerts.account_alerts import MAX_TYPED_SYMBOL, AccountAlerts
from watchlist.errors import AlertRefused
from watchlist.formatting.numbers import write_number
from watchlist.lists.search import find_ticker, is_served, served_names
from watchlist.page.alerts.access import require_account
from watchlist.page.alerts.form import AlertForm
from watchlist.page.alerts.list_views import read_style
from watchlist.page.alerts.preview import read_past
from watchlist.page.alerts.rows import Style, describe_alert, moment_of
from watchlist.page.alerts.suggestions import suggest_levels
from watchlist.page.alerts.words import write_condition
from watchlist.prices.quotes import read_quotes

CLAIMS_KEY = "alert-forms"
"""The key of the web session's list of forms that were sent. `make_claim` returns the text for a form."""

KEPT_CLAIMS = 20
MAX_NUMBER_LENGTH = 30
MAX_SUGGESTED_SYMBOLS = 200
ALREADY = "The condition is true already, so the alert does not fire now. It is armed when the price has come back."


@never_cache
@vary_on_headers("Accept-Language")
@require_http_methods(["GET", "HEAD", "POST"])
@require_account
def show_new_alert(request: HttpRequest, user: User) -> HttpResponse:
    """Shows the form for a new alert.

    A GET request can name the symbol, the kind and the level. A POST request can have one of two fields:

    - `do` is `create`, or `preview` to show when the alert would have fired
    - `suggest` is a level to put into the form

    A POST request without `do` and `suggest` shows the form again with what was typed.
    """
    style = read_style(request)
    # The form reads and shows the time of the expiry in the person's time zone.
    with timezone.override(style.zone):
        if request.method != "POST":
            typed = {name: request.GET[name] for name in ("symbol", "kind", "level") if name in request.GET}
            return _show_form(request, user, AlertForm(user, style.now, initial=typed), style)
        if request.POST.get("do") in {"create", "preview"}:
            return _answer(request, user, AlertForm(user, style.now, data=request.POST), style)
        return _show_form(request, user, AlertForm(user, style.now, initial=_read_typed(request)), style)


def _answer(request: HttpRequest, user: User, form: AlertForm, style: Style) -> HttpResponse:
    if not form.is_valid():
        return _show_form(request, user, form, style, status=422)
    if request.POST["do"] == "preview":
        return _show_form(request, user, form, style, preview=_read_preview(form, style))
    claim = make_claim(request.POST)
    if not claim_form(request.session, claim):
        messages.info(request, "This form was sent before. No second alert was created.")
        return redirect("alerts")
    try:
        created = AccountAlerts(user).create(form.ticker.symbol, form.options, style.now)
    except AlertRefused as refusal:
        release_form(request.session, claim)
        form.add_error(None, str(refusal))
        return _show_form(request, user, form, style, status=422)
    except DatabaseError:
        release_form(request.session, claim)
        request.session.save()  # Django saves no session with an answer that reports an error of the server
        raise
    name = describe_alert(created.alert, style.numerals)
    messages.success(request, f"{name}: the alert is active.{' ' + ALREADY if created.is_true else ''}")
    return redirect("alerts")


def _read_preview(form: AlertForm, style: Style) -> Mapping[str, Any]:
    options, decimals = form.options, form.ticker.decimals
    condition = write_condition(options.kind, options.value, options.window_seconds, decimals, style.numerals)
    return {"condition": f"{form.ticker.symbol} {condition}", **read_past(form.ticker, options, style)}


def _read_typed(request: HttpRequest) -> dict[str, Any]:
    """Returns what was typed into the form. A suggested level replaces the typed level."""
    typed: dict[str, Any] = {name: request.POST.get(name, "") for name in AlertForm.base_fields}
    typed["channels"] = request.POST.getlist("channels")
    if suggested := request.POST.get("suggest", "")[:MAX_NUMBER_LENGTH]:
        typed["level"] = suggested.lstrip("+-")
        if typed["kind"] != Kind.EITHER:
            typed["kind"] = Kind.UP if suggested.startswith("+") else Kind.DOWN
    return typed


def _show_form(
    request: HttpRequest,
    user: User,
    form: AlertForm,
    style: Style,
    preview: Mapping[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    typed = form["symbol"].value() or ""
    ticker = find_ticker(str(typed)[:MAX_TYPED_SYMBOL])
    count = Alert.objects.filter(owner=user).exclude(state=State.DELETED).count()
    context = {
        "form": form,
        "form_key": secrets.token_hex(8),
        "preview": preview,
        "is_full": count >= settings.ALERTS_PER_ACCOUNT,
        "max_alerts": settings.ALERTS_PER_ACCOUNT,
        "lacks_channels": len(form.offered_channels) < len(Channel),
        "symbols": served_names(MAX_SUGGESTED_SYMBOLS),
        **(_describe_ticker(ticker, style) if ticker is not None and is_served(ticker) else {}),
    }
    return render(request, "watchlist/alerts/new.html", context, status=status)


def _describe_ticker(ticker: Ticker, style: Style) -> dict[str, Any]:
    quote = read_quotes([ticker.symbol]).updates.get(ticker.symbol)
    if quote is None:
        return {"ticker": ticker}
    return {
        "ticker": ticker,
        "price": write_number(quote.price, ticker.decimals, style.numerals),
        "as_of": style.write_time(moment_of(quote.timestamp)),
        "levels": suggest_levels(quote.price, ticker.decimals, style.numerals),
    }


def make_claim(values: QueryDict) -> str:
    """Returns a hash of all fields of a form. If a browser sends a form twice, both hashes are equal."""
    return hashlib.sha256(repr(sorted(values.lists())).encode(errors="replace")).hexdigest()[:32]


def claim_form(session: SessionBase, claim: str) -> bool:
    """Stores in the web session that a form was sent. Returns False if the form was sent before."""
    with transaction.atomic():
        session.lock()  # type: ignore[attr-defined]  # so that two concurrent requests do not claim one form
        claims = session.get(CLAIMS_KEY, [])
        if claim in claims:
            return False
        session[CLAIMS_KEY] = [*claims, claim][-KEPT_CLAIMS:]
        session.save()
    return True


def release_form(session: SessionBase, claim: str) -> None:
    """Allows the form to be sent again. Call this function if the form has created no alert."""
    session[CLAIMS_KEY] = [each for each in session.get(CLAIMS_KEY, []) if each != claim]
