"""Finds the account of a connection by the session cookie in the upgrade request."""

from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.db import close_old_connections
from django.http import HttpRequest

from watchlist.accounts.signed_sessions import renew_signature


@dataclass(frozen=True, slots=True)
class AccountSession:
    """A web session of an account.

    `key` is the session key in the cookie. `account` is the id of the account. `password_hash` is the account's
    password hash at the time of the look-up. A web session ends when this hash changes.
    """

    key: str
    account: int
    password_hash: str = ""


def read_session_key(cookies: str) -> str | None:
    """Returns the session key in a Cookie header, or None if the header has no valid key."""
    try:
        found = SimpleCookie(cookies).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return None
    return found.value if found is not None and found.value.isalnum() else None


def names_session(cookies: str) -> bool:
    """Returns whether a Cookie header has the session cookie, valid or not."""
    return settings.SESSION_COOKIE_NAME in cookies


@sync_to_async
def find_account_session(key: str) -> AccountSession | None:
    """Returns the web session with this key. Returns None if no account is signed in with the key.

    Raises django.db.DatabaseError.
    """
    close_old_connections()
    request = HttpRequest()
    request.session = SessionStore(key)
    renew_signature(request.session)  # in memory only; get_user would change the key of the stored session
    account = get_user(request)
    if not account.is_authenticated or account.pk is None:
        return None
    return AccountSession(key, account.pk, account.get_session_auth_hash())
