"""Reads and changes the lists of an account."""

from django.contrib.auth.models import User

from watchlist.lists.storage import AccountLists


def symbols_of(user: User) -> list[str]:
    """Returns the symbols of the user's first list."""
    lists = AccountLists(user)
    return [ticker.symbol for ticker in lists.tickers(lists.tabs()[0].key)]


def add_symbol(user: User, symbol: str) -> None:
    """Adds a symbol to the user's first list."""
    AccountLists(user).change(lambda lists: lists.replace(lists.lists[0].add(symbol)))


def remove_symbol(user: User, symbol: str) -> None:
    """Removes a symbol from the user's first list."""
    AccountLists(user).change(lambda lists: lists.replace(lists.lists[0].remove(symbol)))
