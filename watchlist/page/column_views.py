"""A view that changes the columns of a list."""

from dataclasses import replace

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from watchlist.accounts.page_owner import require_same_owner
from watchlist.lists.rules import UserLists
from watchlist.page.change_views import apply_change, find_list
from watchlist.page.columns import change_keys
from watchlist.page.position import read_position
from watchlist.page.views import is_htmx

ACTIONS = ("show", "hide", "up", "down", "default")


@require_POST
@require_same_owner
def change_columns(request: HttpRequest) -> HttpResponse:
    """Shows, hides or moves a column of a list, or returns to the default columns.

    The form has one of the fields `show`, `hide`, `up`, `down` and `default`. This field holds the key of the column.
    """
    position = read_position(request.POST)
    action = next((name for name in ACTIONS if request.POST.get(name)), None)
    if action is None:
        return redirect(position.address)
    key = request.POST[action]

    def change(lists: UserLists) -> UserLists:
        named_list = find_list(lists, position)
        return lists.replace(replace(named_list, columns=change_keys(named_list.columns, action, key)))

    apply_change(request, change)
    # Without scripts, the browser loads the page again. The menu of columns is then open, as it was before.
    address = position.address
    return redirect(address if is_htmx(request) else f"{address}{'&' if '?' in address else '?'}columns=open")
