"""Views that export lists to CSV files and import them.

A person sees a preview of an import before it changes anything.
"""

from collections.abc import Collection
from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from feeds.models import Ticker
from feeds.symbols import is_symbol
from watchlist.errors import UnreadableFile
from watchlist.lists.csv_import import MAX_FILE_BYTES, ImportedLists, merge_lists, read_lists
from watchlist.lists.rules import UserLists
from watchlist.lists.storage import EXAMPLE_NAME
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
    """Returns one CSV file with all lists of the person and the newest prices."""
    lists = own_lists(request).read().lists
    rows = _read_rows(request, {symbol for named_list in lists for symbol in named_list.symbols})
    text = write_lists((each.name, [rows[symbol] for symbol in each.symbols if symbol in rows]) for each in lists)
    # Spreadsheets recognize UTF-8 only by the byte order mark.
    response = HttpResponse("\N{BYTE ORDER MARK}" + text, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{FILE_NAME}"'
    return response


@require_POST
def preview_import(request: HttpRequest) -> HttpResponse:
    """Shows what importing a file or a pasted text would do. Stores nothing."""
    try:
        text = _read_form(request)
    except UnreadableFile as error:
        messages.error(request, str(error))
        return redirect("transfer")
    imported = _read_lists(text)
    own_names = {tab.name.casefold() for tab in own_lists(request).tabs()}
    lists = [(named_list, named_list.name.casefold() in own_names) for named_list in imported.lists]
    context: dict[str, Any] = {
        "text": text,
        "refusals": imported.refusals,
        "lists": lists,
        "symbols": sum(len(named_list.symbols) for named_list in imported.lists),
        "has_own_name": any(is_own for _, is_own in lists),
    }
    return render(request, "watchlist/preview.html", context)


@require_POST
def import_lists(request: HttpRequest) -> HttpResponse:
    """Imports the text that was previewed. The form of the preview sends it again."""
    text = request.POST.get("text", "")
    imported = _read_lists(text) if len(text) <= MAX_FILE_BYTES else ImportedLists()
    if not imported.lists:
        messages.error(request, "Nothing was imported: the file contains no list.")
        return redirect("transfer")
    problems = _import(request, imported, replace=request.POST.get("mode") == "replace")
    for problem in problems:
        messages.error(request, problem)
    count = len(imported.lists)
    messages.success(request, f"{count} list{'' if count == 1 else 's'} imported.")
    return redirect("watchlist")


def _import(request: HttpRequest, imported: ImportedLists, replace: bool) -> list[str]:
    """Stores the imported lists. Returns sentences about lists and symbols that did not fit.

    `replace` replaces lists of the same name. If the person has changed nothing yet, the example list is dropped,
    unless the file contains a list of its name.
    """
    store = own_lists(request)
    has_only_example = not store.stored
    problems: list[str] = []

    def merge(lists: UserLists) -> UserLists:
        example = lists.lists[0]
        after, problems[:] = merge_lists(lists, imported.lists, replace or has_only_example)
        is_imported = any(each.name.casefold() == EXAMPLE_NAME.casefold() for each in imported.lists)
        if has_only_example and not is_imported:
            after = UserLists(tuple(each for each in after.lists if each is not example))
        return after

    store.change(merge)
    return problems


def _read_lists(text: str) -> ImportedLists:
    return read_lists(text, frozenset(Ticker.objects.values_list("symbol", flat=True)))


def _read_form(request: HttpRequest) -> str:
    """Returns the uploaded file or the pasted text. Raises UnreadableFile."""
    upload = request.FILES.get("file")
    if upload is not None:
        return _read_file(upload)
    text = request.POST.get("text", "")
    if not text.strip():
        raise UnreadableFile("Choose a file, or paste its lines.")
    return text


def _read_file(upload: "UploadedFile[Any]") -> str:
    if (upload.size or 0) > MAX_FILE_BYTES:
        raise UnreadableFile(f"The file is too large. The maximum is {MAX_FILE_BYTES // 1024} KB.")
    try:
        return bytes(upload.read()).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile("The file is not UTF-8 text. Save it as “CSV UTF-8” and try again.") from error


def _read_rows(request: HttpRequest, symbols: Collection[str]) -> dict[str, Row]:
    tickers = list(Ticker.objects.filter(symbol__in=filter(is_symbol, symbols)))
    quotes = read_quotes([ticker.symbol for ticker in tickers])
    return {row.ticker.symbol: row for row in make_rows(request, tickers, quotes, timezone.now())}
