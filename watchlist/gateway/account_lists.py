"""Whose socket it is, where a page says so with its session cookie, and when a list of that account has changed.

Read from the database once a second for all signed-in sockets together: two queries, however many there are. A session
that ended is forgotten with the next reading, and nothing private follows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

import msgspec
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session as StoredSession
from django.db import close_old_connections
from django.http import HttpRequest
from django.utils import timezone

from watchlist.gateway.fanout.delivery import Item, fact
from watchlist.models import Watchlist

Versions = Mapping[int, int]
"""A list's version by its id."""


@dataclass(frozen=True, slots=True)
class AccountSession:
    """A signed-in session: its key and its account's id."""

    key: str
    account: int


def session_key(cookies: str) -> str | None:
    """The session's key in a Cookie header, where there is one."""
    try:
        found = SimpleCookie(cookies).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return None
    return found.value if found is not None and found.value.isalnum() else None


@sync_to_async
def find_account_session(key: str) -> AccountSession | None:
    """The signed-in session of this key; None for a visitor's, an ended or an invented one. Raises DatabaseError."""
    close_old_connections()
    request = HttpRequest()
    request.session = SessionStore(key)
    account = get_user(request)
    return AccountSession(key, account.pk) if account.is_authenticated and account.pk is not None else None


@sync_to_async
def read_versions(visits: Iterable[AccountSession]) -> dict[AccountSession, Versions]:
    """The lists of each visit that still stands. Raises DatabaseError."""
    close_old_connections()
    visits = list(visits)
    keys = {visit.key for visit in visits}
    alive = set(
        StoredSession.objects.filter(session_key__in=keys, expire_date__gt=timezone.now()).values_list(
            "session_key", flat=True
        )
    )
    lists: dict[int, dict[int, int]] = {}
    owners = {visit.account for visit in visits if visit.key in alive}
    for owner, number, version in Watchlist.objects.filter(owner__in=owners).values_list("owner_id", "id", "version"):
        lists.setdefault(owner, {})[number] = version
    return {visit: lists.get(visit.account, {}) for visit in visits if visit.key in alive}


def changed_lists(before: Versions, now: Versions) -> list[Item]:
    """A frame for each list that is new, was changed, or is gone (version 0)."""
    found = [(number, version) for number, version in now.items() if before.get(number) != version]
    found += [(number, 0) for number in before if number not in now]
    return [
        fact(f"list {number}", msgspec.json.encode({"type": "list", "id": number, "version": version}))
        for number, version in found
    ]
