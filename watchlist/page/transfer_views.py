"""Lists out of the page and into it as CSV. An import is shown before it is done, with every line that is refused."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from feeds.models import Ticker
from feeds.symbols import is_symbol
from watchlist.lists.csv_import import LARGEST_FILE, ImportedLists, merge_lists, read_lists
from watchlist.lists.rules import UserLists
from watchlist.lists.storage import LIST_NAME
from watchlist.page.context import make_rows, own_lists
from watchlist.page.csv_export import write_lists
from watchlist.page.rows import Row
from watchlist.prices.quotes import read_quotes

FILE_NAME = "stockwatch-simulated.csv"


@never_cache
@require_safe
def show_transfer(request: HttpRequest) -> HttpResponse:
    return render(request, "watchlist/transfer.html", {"tabs": own_lists(request).tabs()})


@never_cache
@require_safe
def export_lists(request: HttpRequest) -> HttpResponse:
    """All lists in one file, with the prices of now."""
    book = own_lists(request).book()
    symbols = {symbol for named in book.lists for symbol in named.symbols}
    rows = _read_rows(request, symbols)
    text = write_lists(
        (named.name, [rows[symbol] for symbol in named.symbols if symbol in rows]) for named in book.lists
    )
    # Spreadsheets take a file for UTF-8 only when it begins so.
    response = HttpResponse("\N{BYTE ORDER MARK}" + text, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{FILE_NAME}"'
    return response


@require_POST
def preview_import(request: HttpRequest) -> HttpResponse:
    """What a file or a pasted text would do; keeps nothing."""
    text, problem = _read_text(request)
    if problem:
        messages.error(request, problem)
        return redirect("transfer")
    reading = _read(text)
    own = {tab.name.casefold() for tab in own_lists(request).tabs()}
    context: dict[str, Any] = {
        "text": text,
        "refusals": reading.refusals,
        "lists": [(named, named.name.casefold() in own) for named in reading.lists],
        "symbols": sum(len(named.symbols) for named in reading.lists),
        "clash": any(named.name.casefold() in own for named in reading.lists),
    }
    return render(request, "watchlist/preview.html", context)


@require_POST
def import_lists(request: HttpRequest) -> HttpResponse:
    """Does what the preview showed: the text comes along and is read again."""
    text = request.POST.get("text", "")
    reading = _read(text) if len(text) <= LARGEST_FILE else ImportedLists()
    if not reading.lists:
        messages.error(request, "Nothing was imported: the file holds no list.")
        return redirect("transfer")
    said: list[str] = []
    shelf = own_lists(request)
    fresh = not shelf.stored

    def step(book: UserLists) -> UserLists:
        # Who has changed nothing yet has only the example, which nobody asked to keep.
        example = book.lists[0] if fresh else None
        after, more = merge_lists(book, reading.lists, request.POST.get("mode") == "replace" or fresh)
        said.extend(more)
        brought = {named.name.casefold() for named in reading.lists}
        if example and LIST_NAME.casefold() not in brought:
            after = UserLists(tuple(named for named in after.lists if named is not example))
        return after

    shelf.change(step)
    for sentence in said:
        messages.error(request, sentence)
    many = len(reading.lists)
    messages.success(request, f"{many} list{'' if many == 1 else 's'} imported.")
    return redirect("watchlist")


def _read(text: str) -> ImportedLists:
    return read_lists(text, frozenset(Ticker.objects.values_list("symbol", flat=True)))


def _read_text(request: HttpRequest) -> tuple[str, str]:
    """The file or the pasted text, and what is wrong with it."""
    upload = request.FILES.get("file")
    if upload is None:
        text = request.POST.get("text", "")
        return (text, "") if text.strip() else ("", "Choose a file, or paste its lines.")
    if (upload.size or 0) > LARGEST_FILE:
        return "", f"The file is too large: at most {LARGEST_FILE // 1024} KB."
    try:
        return upload.read().decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return "", "The file is no text in UTF-8. Save it as “CSV UTF-8” and try again."


def _read_rows(request: HttpRequest, symbols: set[str]) -> dict[str, Row]:
    now = timezone.now()
    tickers = list(Ticker.objects.filter(symbol__in=filter(is_symbol, symbols)))
    rows = make_rows(request, tickers, read_quotes([ticker.symbol for ticker in tickers]), now)
    return {row.ticker.symbol: row for row in rows}
