"""Finds the account of a connection by the session cookie in its upgrade request."""

from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.db import close_old_connections
from django.http import HttpRequest


@dataclass(frozen=True, slots=True)
class AccountSession:
    """A web session in which an account is signed in: session key and account id."""

    key: str
    account: int


def read_session_key(cookies: str) -> str | None:
    """Returns the session key in a Cookie header. Returns None if there is no valid one."""
    try:
        found = SimpleCookie(cookies).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return None
    return found.value if found is not None and found.value.isalnum() else None


@sync_to_async
def find_account_session(key: str) -> AccountSession | None:
    """Returns the web session with this key if an account is signed in there.

    Returns None if it is a visitor's, expired or unknown. Raises django.db.DatabaseError.
    """
    close_old_connections()
    request = HttpRequest()
    request.session = SessionStore(key)
    account = get_user(request)
    return AccountSession(key, account.pk) if account.is_authenticated and account.pk is not None else None
