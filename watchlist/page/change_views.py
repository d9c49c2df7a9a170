"""The changes of a person's lists. Each is a form post that ends in a redirect to the page, with or without a script.

A change that can be undone leaves what undoing needs in the session; the newest one only.
"""

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from feeds.symbols import upper_case
from watchlist.accounts.page_owner import require_same_owner
from watchlist.errors import AlreadyListed, ListFull, ListRefused
from watchlist.lists.rules import NamedList, UserLists
from watchlist.lists.search import TypedSymbols, read_typed
from watchlist.lists.storage import example_lists
from watchlist.page.context import PagePosition, own_lists, read_place

UNDO_KEY = "undo"
MOST_NAMED = 6
"""Symbols that one sentence names."""


@require_POST
@require_same_owner
def add_symbols(request: HttpRequest) -> HttpResponse:
    """What was typed or pasted: one symbol or name, or many symbols."""
    place = read_place(request.POST)
    typed = read_typed(request.POST.get("symbol", ""))
    named = _asked(own_lists(request).book(), place) if typed.tickers else None
    added, refusals = try_symbols(named, [ticker.symbol for ticker in typed.tickers]) if named else ([], [])
    if added:
        # Tried out before, so that a visit which is refused everything leaves no session behind.
        _change(request, lambda book: book.put(_add_all(_asked(book, place), added)))
    _say_added(request, added, [*typed.refusals, *refusals], typed)
    return _answer(place)


@require_POST
@require_same_owner
def change_list(request: HttpRequest) -> HttpResponse:
    """One of `remove`, `up`, `down`, `top`, `bottom` with a symbol; or `move` with a symbol and `before` another."""
    place = read_place(request.POST)
    asked = [(step, request.POST[name]) for name, step in STEPS.items() if request.POST.get(name)]
    if asked:
        step, symbol = asked[0]
        _change(request, lambda book: step(request, book, place, upper_case(symbol)[:20]))
    return _answer(place)


@require_POST
@require_same_owner
def change_tabs(request: HttpRequest) -> HttpResponse:
    """`do` is one of `open` (a new list), `rename`, `left`, `right`, `delete`, `clear`, `example`."""
    place = read_place(request.POST)
    do = request.POST.get("do", "")
    if do in TABS and _change(request, lambda book: TABS[do](request, book, place)):
        if do == "open":
            place = PagePosition(own_lists(request).tabs()[-1].key)
        elif do == "delete":
            place = PagePosition(None, place.sort)
    return _answer(place)


@require_POST
@require_same_owner
def undo_change(request: HttpRequest) -> HttpResponse:
    """Takes back the newest removal or deletion of this session."""
    place = read_place(request.POST)
    undo: dict[str, Any] | None = request.session.pop(UNDO_KEY, None)
    if undo is None:
        messages.error(request, "There is nothing left to undo.")
    elif undo["what"] == "symbol":
        place = PagePosition(undo["list"] or None, place.sort)
        step = lambda book: book.put(_asked(book, place).add(undo["symbol"], undo["at"]))  # noqa: E731
        _change(request, step, f"{undo['symbol']} is back.")
    else:
        step = lambda book: book.open(undo["name"], undo["symbols"], undo["at"])  # noqa: E731
        _change(request, step, f"“{undo['name']}” is back.")
        back = [tab.key for tab in own_lists(request).tabs() if tab.name == undo["name"]]
        place = PagePosition(back[0] if back else None)
    return _answer(place)


def _remove(request: HttpRequest, book: UserLists, place: PagePosition, symbol: str) -> UserLists:
    named = _asked(book, place)
    at = named.index(symbol)
    _offer_undo(
        request, f"{symbol} is no longer in “{named.name}”.", what="symbol", list=named.key, symbol=symbol, at=at
    )
    return book.put(named.remove(symbol))


def _shift(by: int) -> "Callable[[HttpRequest, UserLists, PagePosition, str], UserLists]":
    def step(_request: HttpRequest, book: UserLists, place: PagePosition, symbol: str) -> UserLists:
        named = _asked(book, place)
        return book.put(named.move(symbol, max(0, named.index(symbol) + by)))

    return step


def _move(request: HttpRequest, book: UserLists, place: PagePosition, symbol: str) -> UserLists:
    """Before the symbol that the form names; to the end where it names none."""
    named = _asked(book, place)
    before = upper_case(request.POST.get("before", ""))[:20]
    rest = named.remove(symbol)
    return book.put(named.move(symbol, rest.index(before) if before else len(rest.symbols)))


STEPS: dict[str, Callable[[HttpRequest, UserLists, PagePosition, str], UserLists]] = {
    "remove": _remove,
    "up": _shift(-1),
    "down": _shift(1),
    "top": _shift(-(10**6)),
    "bottom": _shift(10**6),
    "move": _move,
}


def _open(request: HttpRequest, book: UserLists, _place: PagePosition) -> UserLists:
    return book.open(request.POST.get("name", ""))


def _rename(request: HttpRequest, book: UserLists, place: PagePosition) -> UserLists:
    return book.rename(_asked(book, place).key, request.POST.get("name", ""))


def _delete(request: HttpRequest, book: UserLists, place: PagePosition) -> UserLists:
    named = _asked(book, place)
    at = book.lists.index(named)
    after = book.delete(named.key)
    _offer_undo(
        request, f"“{named.name}” is deleted.", what="list", name=named.name, symbols=list(named.symbols), at=at
    )
    return after


def _slide(by: int) -> "Callable[[HttpRequest, UserLists, PagePosition], UserLists]":
    return lambda _request, book, place: book.shift(_asked(book, place).key, by)


def _clear(_request: HttpRequest, book: UserLists, place: PagePosition) -> UserLists:
    named = _asked(book, place)
    return book.put(NamedList(named.key, named.name))


def _fill(_request: HttpRequest, book: UserLists, place: PagePosition) -> UserLists:
    """Puts the example's symbols on an empty list."""
    named = _asked(book, place)
    return book.put(NamedList(named.key, named.name, named.symbols or example_lists().lists[0].symbols))


TABS: dict[str, Callable[[HttpRequest, UserLists, PagePosition], UserLists]] = {
    "open": _open,
    "rename": _rename,
    "delete": _delete,
    "left": _slide(-1),
    "right": _slide(1),
    "clear": _clear,
    "example": _fill,
}


def _asked(book: UserLists, place: PagePosition) -> NamedList:
    """The list that a form is about. Raises NoSuchList."""
    return book.lists[0] if place.key is None else book.find(place.key)


def _change(request: HttpRequest, step: Callable[[UserLists], UserLists], done: str = "") -> bool:
    """Applies the step, and says that it is done or why it was refused; returns which."""
    try:
        own_lists(request).change(step)
    except ListRefused as refusal:
        messages.error(request, str(refusal))
        return False
    if done:
        messages.success(request, done)
    return True


def _offer_undo(request: HttpRequest, sentence: str, **undo: Any) -> None:
    request.session[UNDO_KEY] = undo
    messages.success(request, sentence, extra_tags="undo")


def try_symbols(named: NamedList, symbols: Sequence[str]) -> tuple[list[str], list[str]]:
    """Which of the symbols the list takes, and sentences about the others."""
    added: list[str] = []
    refusals: list[str] = []
    for symbol in symbols:
        try:
            named = named.add(symbol)
        except AlreadyListed as refusal:
            refusals.append(str(refusal))
        except ListFull as refusal:
            return added, [*refusals, str(refusal)]
        else:
            added.append(symbol)
    return added, refusals


def _add_all(named: NamedList, symbols: Sequence[str]) -> NamedList:
    for symbol in symbols:
        named = named.add(symbol)
    return named


def _say_added(request: HttpRequest, added: list[str], refusals: list[str], typed: TypedSymbols) -> None:
    if added:
        verb = "is" if len(added) == 1 else "are"
        messages.success(request, f"{name_symbols(added)} {verb} in your list now.")
    for refusal in refusals[:MOST_NAMED]:
        messages.error(request, refusal)
    if more := refusals[MOST_NAMED:]:
        messages.error(request, f"{len(more)} more were not added either.")
    for choice in typed.choices:
        messages.info(request, f"{choice.symbol} {choice.name}", extra_tags="choice")


def name_symbols(symbols: list[str]) -> str:
    """`AAPL, GOOG and 3 more`."""
    shown, more = symbols[:MOST_NAMED], len(symbols) - MOST_NAMED
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _answer(place: PagePosition) -> HttpResponse:
    return redirect(place.address)
