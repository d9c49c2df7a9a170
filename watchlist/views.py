"""The page, the two changes of its list, and the doors of an account. Every change is a form post and a redirect."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from feeds.models import Ticker
from watchlist.errors import ListRefused
from watchlist.forms import SignUpForm, SymbolForm
from watchlist.lists import LIST_NAME, MOST_SYMBOLS, PersonalList, adopt_list, list_of
from watchlist.quotes import read_quotes
from watchlist.rows import make_row

MOST_SUGGESTIONS = 200
"""Tickers that the add field suggests without a script; the page stays small however many there are."""


@never_cache  # ages are told by the time in the page: an old copy would call old prices fresh
@require_safe
def show_watchlist(request: HttpRequest) -> HttpResponse:
    tickers = _list_of(request).tickers()
    quotes = read_quotes([ticker.symbol for ticker in tickers])
    now = timezone.now()
    context = {
        "name": LIST_NAME,
        "rows": [make_row(ticker, quotes.updates.get(ticker.symbol), now, settings.STALE_AFTER) for ticker in tickers],
        "suggestions": _suggest({ticker.pk for ticker in tickers}),
        "available": quotes.available,
        "now": now,
        "now_us": str(int(now.timestamp() * 1_000_000)),
        "stale_after_ms": str(int(settings.STALE_AFTER.total_seconds() * 1000)),
        "full": len(tickers) >= MOST_SYMBOLS,
        "most": MOST_SYMBOLS,
    }
    return render(request, "watchlist/watchlist.html", context)


@require_POST
def add_symbol(request: HttpRequest) -> HttpResponse:
    return _change_list(request, "add", "{} is in your list now.")


@require_POST
def remove_symbol(request: HttpRequest) -> HttpResponse:
    return _change_list(request, "remove", "{} is no longer in your list.")


@sensitive_post_parameters("password1", "password2")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    """A new account, signed in at once, with the visitor's list in it."""
    if request.user.is_authenticated:
        return redirect("watchlist")
    form = SignUpForm(request.POST or None)
    if form.is_valid():
        user = form.save()
        login(request, user)
        adopt_list(user, request.session)
        return redirect("watchlist")
    return render(request, "watchlist/sign_up.html", {"form": form})


class SignIn(LoginView):
    template_name = "watchlist/sign_in.html"
    redirect_authenticated_user = True

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        adopt_list(form.get_user(), self.request.session)
        return response


def _list_of(request: HttpRequest) -> PersonalList:
    return list_of(request.user, request.session)


def _change_list(request: HttpRequest, change: str, done: str) -> HttpResponse:
    """`change` is the method of the list to call with the form's symbol."""
    form = SymbolForm(request.POST)
    if not form.is_valid():
        messages.error(request, str(form.errors["symbol"][0]))
        return redirect("watchlist")
    try:
        ticker: Ticker = getattr(_list_of(request), change)(form.cleaned_data["symbol"])
    except ListRefused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, done.format(ticker.symbol))
    return redirect("watchlist")


def _suggest(listed: set[int]) -> list[Ticker]:
    active = Ticker.objects.filter(active=True).exclude(pk__in=listed)
    return list(active.only("symbol", "name").order_by("symbol")[:MOST_SUGGESTIONS])
