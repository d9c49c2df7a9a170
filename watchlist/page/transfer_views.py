"""Views that export lists to CSV files, and import lists from files after a preview."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from feeds.models import Ticker
from feeds.symbols import is_symbol
from watchlist.errors import ListRefused, UnreadableFile
from watchlist.lists.csv_import import DEFAULT_NAME, MAX_FILE_BYTES, ImportedLists, name_of_file, read_lists
from watchlist.lists.merging import merge_lists
from watchlist.lists.rules import NamedList, UserLists
from watchlist.lists.storage import ListStore
from watchlist.page.context import make_rows, own_lists
from watchlist.page.csv_export import write_lists, write_symbols
from watchlist.page.notices import offer_undo
from watchlist.page.rows import Row
from watchlist.page.undo import ChangedLists, compare_lists
from watchlist.prices.quotes import read_quotes
from watchlist.prices.source_labels import describe_sources


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
    text = write_lists((each.name, _noted_rows(each, rows)) for each in lists)
    source = describe_sources([row.ticker.source for row in rows.values()]).name
    # Spreadsheets recognize UTF-8 only by the byte order mark.
    response = HttpResponse("\N{BYTE ORDER MARK}" + text, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="stockwatch-{source}.csv"'
    return response


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def preview_import(request: HttpRequest) -> HttpResponse:
    """Shows a preview of the import of a file or of pasted text. Stores nothing."""
    if request.method != "POST":  # the browser went back to the address of a preview
        return redirect("transfer")
    try:
        text, name = _read_form(request)
    except UnreadableFile as error:
        messages.error(request, str(error))
        return redirect("transfer")
    imported = _read_lists(text, name)
    store = own_lists(request)
    own_lists_before = _lists_to_merge(store, store.read())
    lists = [(named_list, own_lists_before.find_by_name(named_list.name) is not None) for named_list in imported.lists]
    _, problems = merge_lists(own_lists_before, imported.lists, replace=False)
    context: dict[str, Any] = {
        # Contains only the lists to import, because a file may be larger than a form can be.
        "text": write_symbols(imported.lists),
        "refusals": imported.refusals,
        "problems": problems,
        "lists": lists,
        "symbols": sum(len(named_list.symbols) for named_list in imported.lists),
        "has_own_name": any(is_own for _, is_own in lists),
    }
    return render(request, "watchlist/preview.html", context)


@require_POST
def import_lists(request: HttpRequest) -> HttpResponse:
    """Imports the lists in the form field `text`, after the person has seen the preview."""
    text = request.POST.get("text", "")
    imported = _read_lists(text) if len(text) <= MAX_FILE_BYTES else ImportedLists()
    if not imported.lists:
        messages.error(request, "Nothing was imported: the file contains no list.")
        return redirect("transfer")
    try:
        problems, change = _import(request, imported, replace=request.POST.get("mode") == "replace")
    except ListRefused as error:
        messages.error(request, str(error))
        return redirect("transfer")
    for problem in problems:
        messages.error(request, problem)
    total = len(imported.lists)
    count = total - sum("was not imported" in problem for problem in problems)
    number = str(count) if count == total else f"{count} of {total}"
    offer_undo(request, f"{number} list{'' if total == 1 else 's'} imported.", change)
    return redirect("watchlist")


def _import(request: HttpRequest, imported: ImportedLists, replace: bool) -> tuple[list[str], ChangedLists]:
    """Merges the imported lists into the person's lists, and stores the result. Raises ListRefused.

    Returns two values: sentences about what was not imported, and the change that an undo takes back.
    """
    store = own_lists(request)
    problems: list[str] = []
    before: list[UserLists] = []

    def merge(lists: UserLists) -> UserLists:
        before[:] = [lists]
        after, problems[:] = merge_lists(_lists_to_merge(store, lists), imported.lists, replace)
        return after

    after = store.change(merge)
    return problems, compare_lists("The import was undone.", before[0], after)


def _lists_to_merge(store: ListStore, lists: UserLists) -> UserLists:
    """Returns `lists`. Returns no lists if `lists` holds only the example list, which is not stored."""
    return lists if store.stored else UserLists(())


def _read_lists(text: str, name: str = DEFAULT_NAME) -> ImportedLists:
    return read_lists(text, frozenset(Ticker.objects.values_list("symbol", flat=True)), name)


def _read_form(request: HttpRequest) -> tuple[str, str]:
    """Returns the uploaded or pasted text, and a list name. Raises UnreadableFile.

    The name is for the list of those symbols for which the text names no list.
    """
    upload = request.FILES.get("file")
    text = request.POST.get("text", "")
    if upload is not None:
        content = _read_file(upload)
        if not content.strip("\N{BYTE ORDER MARK}\N{NULL} \t\r\n"):
            raise UnreadableFile("The file is empty.")
        return content, name_of_file(upload.name or "")
    if not text.strip():
        raise UnreadableFile("Choose a file, or paste its lines.")
    if len(text) > MAX_FILE_BYTES:
        raise UnreadableFile(f"The text is too long. The maximum is {MAX_FILE_BYTES / 1e6:.1f} MB.")
    return text, DEFAULT_NAME


def _read_file(upload: "UploadedFile[Any]") -> str:
    if (upload.size or 0) > MAX_FILE_BYTES:
        raise UnreadableFile(f"The file is too large. The maximum is {MAX_FILE_BYTES / 1e6:.1f} MB.")
    content = bytes(upload.read())
    # Spreadsheets save "Unicode text" as UTF-16 with a byte order mark.
    encoding = "utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableFile("The file is not UTF-8 text. Save it as “CSV UTF-8” and try again.") from error


def _read_rows(request: HttpRequest, symbols: Collection[str]) -> dict[str, Row]:
    tickers = list(Ticker.objects.filter(symbol__in=filter(is_symbol, symbols)))
    quotes = read_quotes([ticker.symbol for ticker in tickers])
    return {row.ticker.symbol: row for row in make_rows(request, tickers, quotes, timezone.now())}


def _noted_rows(named_list: NamedList, rows: Mapping[str, Row]) -> list[Row]:
    """Returns the rows of a list with the list's notes. `rows` maps symbols to rows without notes."""
    listed = [rows[symbol] for symbol in named_list.symbols if symbol in rows]
    return [msgspec.structs.replace(row, note=named_list.notes.get(row.ticker.symbol, "")) for row in listed]
