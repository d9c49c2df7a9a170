"""Reads and writes the symbols and notes of an account's lists in the database."""

from collections.abc import Iterable

from feeds.models import Ticker
from watchlist.lists.rules import NamedList
from watchlist.models import Entry


def read_entries(list_keys: Iterable[int]) -> dict[int, dict[str, str]]:
    """Returns a dict from the key of each list to a dict from symbol to note, in the person's order.

    The note of a symbol without a note is empty.
    """
    entries: dict[int, dict[str, str]] = {key: {} for key in list_keys}
    found = Entry.objects.filter(watchlist__in=entries).values_list("watchlist_id", "ticker__symbol", "note")
    for key, symbol, note in found.order_by("position", "id"):
        entries[key][symbol] = note
    return entries


def create_entries(list_key: int, named_list: NamedList) -> None:
    """Stores the symbols and notes of a list that has no entries yet. Symbols without a ticker are left out."""
    ticker_pks = dict(Ticker.objects.filter(symbol__in=named_list.symbols).values_list("symbol", "pk"))
    Entry.objects.bulk_create(
        Entry(
            watchlist_id=list_key,
            ticker_id=ticker_pks[symbol],
            position=position,
            note=named_list.notes.get(symbol, ""),
        )
        for position, symbol in enumerate(named_list.symbols)
        if symbol in ticker_pks
    )
