"""Moves a visitor's lists into the account at every sign-up and sign-in, also in the admin."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest

from watchlist.lists.rules import MAX_LISTS, NamedList
from watchlist.lists.storage import move_visitor_lists

MAX_NAMED_SYMBOLS = 12
"""`describe_left_out` names at most this number of symbols."""


@receiver(user_logged_in)
def keep_visitor_lists(request: HttpRequest | None, user: User, **_: Any) -> None:
    """Moves the visitor's lists into the account, and tells the person so. Runs after each sign-in.

    A list is not moved if the account has the maximum number of lists.
    """
    if request is None:
        return
    moved = move_visitor_lists(request.session, user)
    if moved.added:
        names = ", ".join(f"“{name}”" for name in moved.added)
        _say(request, messages.SUCCESS, f"The lists from before you signed in are kept: {names}.")
    for named_list in moved.left_out:
        _say(request, messages.ERROR, describe_left_out(named_list))


def describe_left_out(named_list: NamedList) -> str:
    """Returns a message about a list that was not moved. The message names the symbols of the list."""
    held = f" It held {_name_symbols(named_list.symbols)}." if named_list.symbols else ""
    return f"“{named_list.name}” was not kept: you have {MAX_LISTS} lists, which is the maximum.{held}"


def _name_symbols(symbols: Sequence[str]) -> str:
    more = len(symbols) - MAX_NAMED_SYMBOLS
    return ", ".join(symbols[:MAX_NAMED_SYMBOLS]) + (f" and {more} more" if more > 0 else "")


def _say(request: HttpRequest, level: int, sentence: str) -> None:
    """Adds a message. Does nothing if the request cannot hold messages."""
    messages.add_message(request, level, sentence, fail_silently=True)
