"""A view that changes the note about a symbol of a list."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from feeds.symbols import upper_case
from watchlist.accounts.page_owner import require_same_owner
from watchlist.lists.rules import NamedList, UserLists
from watchlist.page.change_views import MAX_QUOTED_LENGTH, apply_change, find_list
from watchlist.page.notices import offer_undo
from watchlist.page.position import read_position
from watchlist.page.table_html import symbol_path
from watchlist.page.undo import ChangedNote
from watchlist.page.views import is_htmx


@require_POST
@require_same_owner
def change_note(request: HttpRequest) -> HttpResponse:
    """Stores the form field `note` as the note about the symbol in the field `symbol`. An empty note is removed.

    In a browser without scripts, the answer shows the drawer of the symbol again.
    """
    position = read_position(request.POST)
    symbol = upper_case(request.POST.get("symbol", ""))[:MAX_QUOTED_LENGTH]
    before: list[NamedList] = []

    def change(lists: UserLists) -> UserLists:
        before[:] = [find_list(lists, position)]
        return lists.replace(before[0].write_note(symbol, request.POST.get("note", "")))

    after = apply_change(request, change)
    if after is None:
        return redirect(position.address)
    _report_change(request, symbol, before[0], find_list(after, position))
    return redirect(position.address if is_htmx(request) else symbol_path(symbol, position.query))


def _report_change(request: HttpRequest, symbol: str, before: NamedList, after: NamedList) -> None:
    """Tells the person that a note is stored. If the note replaces an earlier one, offers an undo."""
    earlier, note = before.notes.get(symbol, ""), after.notes.get(symbol, "")
    if earlier and earlier != note:
        sentence = f"The note about {symbol} is {'changed' if note else 'removed'}."
        offer_undo(request, sentence, ChangedNote(after.key, symbol, earlier))
    else:
        # This sentence differs from the sentences of changes, because a page finds the Undo button of a sentence by its
        # text.
        messages.success(request, f"The note about {symbol} is saved." if note else f"There is no note about {symbol}.")
