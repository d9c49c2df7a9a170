"""Views that show a shared list to everyone who has its link, and copy the list into an account."""

from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe
from django.views.decorators.vary import vary_on_headers

from watchlist.accounts.preferences import appearance_of, numerals_for
from watchlist.formatting.moments import write_moment
from watchlist.lists.listed_tickers import read_named_tickers
from watchlist.lists.merging import free_name
from watchlist.lists.rules import UserLists
from watchlist.lists.share_links import SharedList, find_shared_list
from watchlist.page.change_views import apply_change
from watchlist.page.columns import choose_number_width, pick_columns
from watchlist.page.context import clock_values, make_rows
from watchlist.page.notices import offer_undo
from watchlist.page.position import PagePosition
from watchlist.page.rows import name_reference
from watchlist.page.sorting import headings, read_sort
from watchlist.page.table_html import insert_rows
from watchlist.page.undo import compare_lists
from watchlist.prices.quotes import read_quotes
from watchlist.prices.source_labels import describe_sources


@never_cache
@vary_on_headers("Accept-Language")
@require_safe
def show_shared_list(request: HttpRequest, token: str) -> HttpResponse:
    """Shows a shared list with live prices. Answers 404 if the link was revoked or never existed.

    The page has no forms, because Django would refuse them: the page's Referrer-Policy makes a browser send
    `Origin: null` with a form.
    """
    shared = find_shared_list(token)
    if shared is None:
        return _hide(_render_gone(request), "no-referrer")
    context = _read_shared_page(request, shared)
    frame = render_to_string("watchlist/shared.html", context, request)
    page = insert_rows(frame, context["rows"], context["columns"], "", can_move=False, has_actions=False)
    return _hide(HttpResponse(page), "no-referrer")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def copy_shared_list(request: HttpRequest, token: str) -> HttpResponse:
    """Asks whether to copy a shared list to the person's own lists, and copies the list after a POST request.

    A visitor must sign in first. Answers 404 if the link was revoked or never existed.
    """
    shared = find_shared_list(token)
    if shared is None:
        return _hide(_render_gone(request), "same-origin")
    if not request.user.is_authenticated:
        return _hide(redirect_to_login(request.path), "same-origin")
    if request.method == "POST":
        return redirect(_copy(request, shared).address)
    return _hide(render(request, "watchlist/shared_copy.html", {"shared": shared, "token": token}), "same-origin")


def _copy(request: HttpRequest, shared: SharedList) -> PagePosition:
    """Copies a shared list to the person's own lists, if there is room. Returns the position of the page to show."""
    after = apply_change(request, lambda lists: lists.create(free_name(shared.name, lists), shared.symbols))
    if after is None:
        return PagePosition()
    copied = after.lists[-1]
    # The lists before the change can contain the example without a key. An undo would then remove the stored example.
    without_copy = UserLists(after.lists[:-1])
    offer_undo(
        request,
        f"“{copied.name}” is one of your lists now.",
        compare_lists(f"The copy “{copied.name}” was removed.", without_copy, after),
    )
    return PagePosition(copied.key)


def _read_shared_page(request: HttpRequest, shared: SharedList) -> dict[str, Any]:
    """Returns the values for the template of a shared list, by name."""
    now, columns, sort = timezone.now(), pick_columns(()), read_sort(request.GET.get("sort", ""))
    tickers = read_named_tickers(shared.symbols)
    quotes = read_quotes([ticker.symbol for ticker in tickers])
    rows = make_rows(request, tickers, quotes, now)
    return {
        "shared": shared,
        "address": request.path,
        "rows": sort.arrange(rows),
        "columns": columns,
        "headings": headings(sort, columns),
        "reference": name_reference(rows),
        "number_width": choose_number_width(rows),
        "has_currencies": any(row.currency for row in rows),
        "available": quotes.available,
        "as_of": write_moment(now, now, appearance_of(request).tz),
        **({"sources": describe_sources([ticker.source for ticker in tickers])} if tickers else {}),
        "numerals": numerals_for(request),
        "unlisted": True,
        **clock_values(now),
    }


def _render_gone(request: HttpRequest) -> HttpResponse:
    return render(request, "watchlist/shared_gone.html", {"unlisted": True}, status=404)


def _hide(response: HttpResponse, referrer_policy: str) -> HttpResponse:
    """Adds headers that keep the address of a shared list out of search engines and of other sites' logs."""
    response.headers["X-Robots-Tag"] = "noindex"
    response.headers["Referrer-Policy"] = referrer_policy
    return response
