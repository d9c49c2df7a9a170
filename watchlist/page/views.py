"""Views that show the watchlist page and the drawer of one symbol."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from watchlist.accounts.page_owner import require_same_owner
from watchlist.accounts.preferences import appearance_of
from watchlist.errors import NoSuchList
from watchlist.lists.search import find_ticker
from watchlist.page.context import read_page
from watchlist.page.drawer import read_drawer
from watchlist.page.notices import take_notices
from watchlist.page.position import PagePosition, read_position
from watchlist.page.table_html import insert_rows


@never_cache  # the page contains the server's time: a cached copy would show old prices as fresh
@vary_on_headers("Accept-Language")  # this header decides the punctuation of numbers
@require_safe
@require_same_owner
def show_watchlist(request: HttpRequest) -> HttpResponse:
    """Shows the watchlist page. For a request by the script htmx, returns only the tabs and the table."""
    position = read_position(request.GET)
    try:
        context = read_page(request, position)
    except NoSuchList as error:
        messages.error(request, str(error))
        return redirect(PagePosition(None, position.sort).address)
    return _render_page(request, context)


@never_cache
@vary_on_headers("Accept-Language")
@require_safe
@require_same_owner
def show_symbol(request: HttpRequest, symbol: str) -> HttpResponse:
    """Shows the watchlist page with a symbol's drawer. For a request by the script htmx, returns only the drawer.

    Answers 404 if no ticker has the symbol.
    """
    ticker = find_ticker(symbol)
    if ticker is None:
        raise Http404(f"no ticker has the symbol {symbol}")
    position = read_position(request.GET)
    if is_htmx(request):
        return render(request, "watchlist/drawer.html", {**read_drawer(request, ticker, position), "partial": True})
    try:
        context = read_page(request, position)
    except NoSuchList:
        return redirect("symbol", symbol)
    return _render_page(request, context | read_drawer(request, ticker, context["position"]))


def _render_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    is_partial = is_htmx(request)
    template = "watchlist/workspace.html" if is_partial else "watchlist/watchlist.html"
    # Templates would compute these values again in each form, and call the site's function `appearance` five times.
    token, fields = get_token(request), context["position"].hidden_fields
    context |= {
        "notices": take_notices(request),
        "partial": is_partial,
        "appearance": appearance_of(request),
        "csrf_token": token,
        "position_fields": fields,
        "form_fields": write_token_field(token) + fields,
    }
    page = render_to_string(template, context, request)
    query = context["position"].query
    return HttpResponse(insert_rows(page, context["rows"], context["columns"], query, context["own_order"]))


def write_token_field(token: str) -> SafeString:
    """Returns the hidden field that the template tag `csrf_token` writes."""
    return format_html('<input type="hidden" name="csrfmiddlewaretoken" value="{}">', token)


def is_htmx(request: HttpRequest) -> bool:
    """Returns whether the script htmx makes the request."""
    details: Any = getattr(request, "htmx", None)
    return bool(details)
