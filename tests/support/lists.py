"""Reads and changes the lists of an account."""

from django.contrib.auth.models import User

from watchlist.lists.storage import AccountLists


def symbols_of(person: User) -> list[str]:
    shelf = AccountLists(person)
    return [ticker.symbol for ticker in shelf.tickers(shelf.tabs()[0].key)]


def enlist(person: User, symbol: str) -> None:
    AccountLists(person).change(lambda book: book.put(book.lists[0].add(symbol)))


def unlist(person: User, symbol: str) -> None:
    AccountLists(person).change(lambda book: book.put(book.lists[0].remove(symbol)))
