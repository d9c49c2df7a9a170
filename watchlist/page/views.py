"""The page: the watchlist, and one symbol's drawer beside it. Reads only; changes stand in `changes`."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from watchlist.accounts.page_owner import require_same_owner
from watchlist.errors import NoSuchList
from watchlist.lists.search import ticker_of
from watchlist.page.context import PagePosition, read_page, read_place
from watchlist.page.drawer import read_symbol
from watchlist.page.notices import read_notices


@never_cache  # ages are told by the time in the page: an old copy would call old prices fresh
@vary_on_headers("Accept-Language")  # numbers are punctuated by it
@require_safe
@require_same_owner
def show_watchlist(request: HttpRequest) -> HttpResponse:
    """The whole page; for htmx the workspace alone, which it merges into the page that is there."""
    place = read_place(request.GET)
    try:
        context = read_page(request, place)
    except NoSuchList as gone:
        messages.error(request, str(gone))
        return redirect(PagePosition(None, place.sort).address)
    return _render(request, "watchlist/watchlist.html", "watchlist/workspace.html", context)


@never_cache
@vary_on_headers("Accept-Language")
@require_safe
@require_same_owner
def show_symbol(request: HttpRequest, symbol: str) -> HttpResponse:
    """The page with the drawer of a symbol open; for htmx the drawer alone. 404 where no ticker has the symbol."""
    ticker = ticker_of(symbol)
    if ticker is None:
        raise Http404(f"no ticker is called {symbol}")
    place = read_place(request.GET)
    if _is_part(request):
        return render(request, "watchlist/drawer.html", {**read_symbol(request, ticker, place), "partial": True})
    try:
        context = read_page(request, place)
    except NoSuchList:
        return redirect("symbol", symbol)
    context |= read_symbol(request, ticker, context["place"])
    return _render(request, "watchlist/watchlist.html", "watchlist/workspace.html", context)


def _render(request: HttpRequest, whole: str, part: str, context: dict[str, Any]) -> HttpResponse:
    context["said"] = read_notices(request)
    context["partial"] = _is_part(request)
    return render(request, part if context["partial"] else whole, context)


def _is_part(request: HttpRequest) -> bool:
    htmx: Any = getattr(request, "htmx", None)
    return bool(htmx)
