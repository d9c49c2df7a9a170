"""Asks visitors to sign up before they use alerts, and reads the numbers in addresses and forms."""

from collections.abc import Callable
from functools import wraps

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

MAX_KEY_DIGITS = 18
"""The maximum number of digits of a key. A longer number does not fit into the database."""


def require_account(view: Callable[[HttpRequest, User], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Returns a view that calls `view` with the request and the account that is signed in.

    A visitor sees a page with links to sign-up and sign-in instead. After that, the visitor gets the requested page.
    """

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        if isinstance(request.user, User):
            return view(request, request.user)
        is_page = request.method in {"GET", "HEAD"}
        address = request.get_full_path() if is_page else reverse("alerts")
        return render(request, "watchlist/alerts/sign_up_first.html", {"next": address, "unlisted": True})

    return guarded


def read_key(text: str) -> int | None:
    """Returns the key of a database row that a form or a URL contains as text; None if the text is not a number."""
    is_key = text.isascii() and text.isdecimal() and len(text) <= MAX_KEY_DIGITS
    return int(text) if is_key else None
