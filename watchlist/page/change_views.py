"""Views that change a person's lists."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from feeds.symbols import upper_case
from watchlist.accounts.page_owner import page_owner, require_same_owner
from watchlist.errors import AlreadyListed, ListFull, ListRefused, NoSuchList, NothingToUndo
from watchlist.lists.rules import NamedList, UserLists
from watchlist.lists.search import TypedSymbols, read_typed
from watchlist.lists.storage import ListChange, example_lists
from watchlist.page.context import own_lists
from watchlist.page.notices import Choice, offer_choices, offer_undo
from watchlist.page.position import PagePosition, read_position
from watchlist.page.undo import (
    DeletedList,
    RemovedSymbol,
    Undo,
    compare_lists,
    find_stored,
    find_undo,
    forget_undo,
    take_stored_keys,
)

MAX_SENTENCES = 6
"""The maximum number of refusals that the page shows as sentences. The other refusals are only counted."""
MAX_NAMED_SYMBOLS = 6
"""The maximum number of symbols that one sentence names."""
MAX_QUOTED_LENGTH = 20
"""The maximum number of characters of a symbol that are read from a form."""


@require_POST
@require_same_owner
def add_symbols(request: HttpRequest) -> HttpResponse:
    """Adds symbols to a list. The form field `symbol` holds one symbol, one name or many symbols."""
    position = read_position(request.POST)
    typed = read_typed(request.POST.get("symbol", ""))
    symbols = [ticker.symbol for ticker in typed.tickers]
    try:
        added, refusals = try_symbols(find_list(own_lists(request).read(), position), symbols) if symbols else ([], [])
    except NoSuchList as error:
        messages.error(request, str(error))
        return redirect(PagePosition(None, position.sort).address)
    # If all symbols are refused, nothing is stored: a refused request must not create a web session.
    if not added or apply_change(request, lambda lists: lists.replace(_add_all(find_list(lists, position), added))):
        _report_added(request, added, [*typed.refusals, *refusals], typed)
    return redirect(position.address)


@require_POST
@require_same_owner
def change_list(request: HttpRequest) -> HttpResponse:
    """Removes a symbol from a list, or moves it within the list.

    The form has one of the fields `remove`, `up`, `down`, `top`, `bottom` and `move`. This field holds the symbol.
    `move` puts the symbol in front of the symbol in the field `before`. Without a field `before`, `move` puts the
    symbol at the end.
    """
    position = read_position(request.POST)
    action = next((name for name in ("remove", *MOVES) if request.POST.get(name)), None)
    if action is None:
        return redirect(position.address)
    symbol = upper_case(request.POST[action])[:MAX_QUOTED_LENGTH]
    if action == "remove":
        _remove_symbol(request, position, symbol)
    else:
        before = upper_case(request.POST.get("before", ""))[:MAX_QUOTED_LENGTH]
        move = MOVES[action]
        apply_change(request, lambda lists: lists.replace(move(find_list(lists, position), symbol, before)))
    return redirect(position.address)


@require_POST
@require_same_owner
def change_tabs(request: HttpRequest) -> HttpResponse:
    """Creates, renames, moves, deletes, empties or fills a list.

    The form field `do` names the change: `open`, `rename`, `left`, `right`, `delete`, `clear` or `example`. `open`
    creates a list. `example` fills an empty list with the symbols of the example list.
    """
    position = read_position(request.POST)
    action = request.POST.get("do", "")
    name = request.POST.get("name", "")
    if action == "open":
        if apply_change(request, lambda lists: lists.create(name)):
            position = PagePosition(own_lists(request).tabs()[-1].key)
    elif action == "delete":
        if _delete_list(request, position):
            position = PagePosition(None, position.sort)
    elif action == "clear":
        _clear_list(request, position)
    elif change := TAB_CHANGES.get(action):
        apply_change(request, lambda lists: change(lists, find_list(lists, position), name))
    return redirect(position.address)


@require_POST
@require_same_owner
def undo_change(request: HttpRequest) -> HttpResponse:
    """Undoes the change whose id is in the form field `undo`. Without this field, undoes the newest change."""
    position = read_position(request.POST)
    undo = find_undo(request.session, page_owner(request), request.POST.get("undo", ""))
    if undo is None:
        again = "This was undone already, or is too old to be undone."
        messages.error(request, again if request.POST.get("undo") else "There is nothing to undo.")
        return redirect(position.address)
    try:
        position = PagePosition(_restore(request, undo), position.sort)
    except ListRefused as refusal:
        messages.error(request, str(refusal))
    return redirect(position.address)


def _restore(request: HttpRequest, undo: Undo) -> int | None:
    """Undoes a change, and removes the change from the web session. Raises ListRefused.

    Returns the key of the list to show, or None for the first list.
    """
    before: list[int] = []

    def restore(lists: UserLists) -> UserLists:
        before[:] = [each.key for each in lists.lists]
        return undo.change.restore(lists)

    with transaction.atomic():
        request.session.lock()  # type: ignore[attr-defined]  # so that two tabs do not undo one change twice
        if find_undo(request.session, undo.owner, undo.id) is None:
            raise NothingToUndo("This was undone already in another tab.")
        after = own_lists(request).change(restore)
        forget_undo(request.session, undo.id)
        request.session.save()
    messages.success(request, undo.change.done)
    created = [each.key for each in after.lists if each.key not in before]
    return created[0] if created else undo.change.list_key or None


def _remove_symbol(request: HttpRequest, position: PagePosition, symbol: str) -> None:
    before: list[UserLists] = []

    def remove(lists: UserLists) -> UserLists:
        before[:] = [lists]
        return lists.replace(find_list(lists, position).remove(symbol))

    if after := apply_change(request, remove):
        named_list = find_list(before[0], position)
        key = find_stored(named_list, before[0], after)
        removal = RemovedSymbol(key, symbol, named_list.index(symbol), named_list.notes.get(symbol, ""))
        offer_undo(request, f"{symbol} is no longer in “{named_list.name}”.", removal)


def _delete_list(request: HttpRequest, position: PagePosition) -> bool:
    removals: list[DeletedList] = []

    def delete(lists: UserLists) -> UserLists:
        named_list = find_list(lists, position)
        at = lists.lists.index(named_list)
        removals[:] = [DeletedList(named_list.name, named_list.symbols, at, named_list.columns, named_list.notes)]
        return lists.delete(named_list.key)

    if not apply_change(request, delete):
        return False
    [removal] = removals
    offer_undo(request, f"“{removal.name}” was deleted.", removal)
    return True


def _clear_list(request: HttpRequest, position: PagePosition) -> None:
    before: list[UserLists] = []

    def clear(lists: UserLists) -> UserLists:
        before[:] = [lists]
        named_list = find_list(lists, position)
        return lists.replace(replace(named_list, symbols=()))

    if after := apply_change(request, clear):
        name = find_list(before[0], position).name
        # The change may have stored the example list. An undo must fill this list, and not create another one.
        stored_before = take_stored_keys(before[0], after)
        change = compare_lists(f"“{name}” has its symbols back.", stored_before, after)
        if change.before:
            offer_undo(request, f"“{name}” was emptied.", change)


def _move_by(offset: int) -> Callable[[NamedList, str, str], NamedList]:
    return lambda named_list, symbol, _before: named_list.move(symbol, named_list.index(symbol) + offset)


def _move_before(named_list: NamedList, symbol: str, before: str) -> NamedList:
    rest = named_list.remove(symbol)
    return named_list.move(symbol, rest.index(before) if before else len(rest.symbols))


MOVES: dict[str, Callable[[NamedList, str, str], NamedList]] = {
    "up": _move_by(-1),
    "down": _move_by(1),
    "top": lambda named_list, symbol, _before: named_list.move(symbol, 0),
    "bottom": lambda named_list, symbol, _before: named_list.move(symbol, len(named_list.symbols)),
    "move": _move_before,
}


def _fill_with_example(lists: UserLists, named_list: NamedList, _name: str) -> UserLists:
    """Fills a list that has no symbols with the symbols of the example list."""
    symbols = named_list.symbols or example_lists().lists[0].symbols
    return lists.replace(replace(named_list, symbols=symbols))


TAB_CHANGES: dict[str, Callable[[UserLists, NamedList, str], UserLists]] = {
    "rename": lambda lists, named_list, name: lists.rename(named_list.key, name),
    "left": lambda lists, named_list, _name: lists.shift(named_list.key, -1),
    "right": lambda lists, named_list, _name: lists.shift(named_list.key, 1),
    "example": _fill_with_example,
}


def find_list(lists: UserLists, position: PagePosition) -> NamedList:
    """Returns the list at `position`, or the first list if `position` has no key. Raises NoSuchList."""
    return lists.lists[0] if position.key is None else lists.find(position.key)


def apply_change(request: HttpRequest, change: ListChange) -> UserLists | None:
    """Applies a change to the person's lists. Returns the stored lists.

    If a rule forbids the change, shows the reason to the person and returns None.
    """
    try:
        return own_lists(request).change(change)
    except ListRefused as refusal:
        messages.error(request, str(refusal))
        return None


def try_symbols(named_list: NamedList, symbols: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the symbols that can be added to the list, and sentences about symbols that cannot be added.

    Stores nothing. If the list is full, the last sentence stands for all remaining symbols.
    """
    added: list[str] = []
    refusals: list[str] = []
    for symbol in symbols:
        try:
            named_list = named_list.add(symbol)
        except AlreadyListed as refusal:
            refusals.append(str(refusal))
        except ListFull as refusal:
            return added, [*refusals, str(refusal)]
        else:
            added.append(symbol)
    return added, refusals


def _add_all(named_list: NamedList, symbols: Sequence[str]) -> NamedList:
    for symbol in symbols:
        named_list = named_list.add(symbol)
    return named_list


def _report_added(request: HttpRequest, added: list[str], refusals: list[str], typed: TypedSymbols) -> None:
    if added:
        verb = "is" if len(added) == 1 else "are"
        messages.success(request, f"{name_symbols(added)} {verb} in your list now.")
    for refusal in refusals[:MAX_SENTENCES]:
        messages.error(request, refusal)
    if more := len(refusals[MAX_SENTENCES:]):
        messages.error(request, f"{more} more {'was' if more == 1 else 'were'} not added.")
    if typed.choices:
        offer_choices(request, refusals[0], [Choice(ticker.symbol, ticker.name) for ticker in typed.choices])


def name_symbols(symbols: list[str]) -> str:
    """Returns the symbols as part of a sentence, such as `AAPL and GOOG`, or `AAPL, GOOG, … and 3 more`."""
    shown, more = symbols[:MAX_NAMED_SYMBOLS], len(symbols) - MAX_NAMED_SYMBOLS
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
