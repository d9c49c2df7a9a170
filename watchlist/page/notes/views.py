"""A view that changes the note about a symbol of a list."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from feeds.symbols import upper_case
from watchlist.accounts.page_owner import require_same_owner
from watchlist.page.change_views import MAX_QUOTED_LENGTH, apply_change, find_list
from watchlist.page.position import read_position
from watchlist.page.table_html import symbol_path
from watchlist.page.views import is_htmx


@require_POST
@require_same_owner
def change_note(request: HttpRequest) -> HttpResponse:
    """Stores the form field `note` as the note about the symbol in the field `symbol`. An empty note is removed.

    In a browser without scripts, the answer shows the drawer of the symbol again.
    """
    position = read_position(request.POST)
    symbol = upper_case(request.POST.get("symbol", ""))[:MAX_QUOTED_LENGTH]
    text = request.POST.get("note", "")
    after = apply_change(request, lambda lists: lists.replace(find_list(lists, position).write_note(symbol, text)))
    if after is not None:
        messages.success(request, f"The note about {symbol} is {'saved' if text.split() else 'removed'}.")
    has_drawer = after is not None and not is_htmx(request)
    return redirect(symbol_path(symbol, position.query) if has_drawer else position.address)
