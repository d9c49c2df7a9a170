"""Makes, finds and revokes links that show a list to everyone who has the link.

A link contains a token of 128 random bits. The database holds only the SHA-256 of the token. Therefore a copy of the
database gives no access to a shared list.
"""

import re
import secrets
from dataclasses import dataclass
from hashlib import sha256

from django.utils import timezone

from watchlist.models import Entry, ShareLink

TOKEN_BYTES = 16
TOKEN = re.compile(r"[A-Za-z0-9_-]{22}")
"""The form of a token: 16 bytes in URL-safe base64."""


@dataclass(frozen=True, slots=True)
class SharedList:
    """What a link shows of a list: the name and the symbols, in the owner's order.

    `version` is the version of the list. `token_hash` identifies the link, and gives no access to the list.
    """

    name: str
    symbols: tuple[str, ...]
    version: int
    token_hash: str


def find_link(list_key: int, owner_pk: int) -> ShareLink | None:
    """Returns the link of a list; None if the list is not shared, or if it is not a list of this account."""
    return ShareLink.objects.filter(watchlist=list_key, watchlist__owner=owner_pk).first()


def make_link(list_key: int) -> str:
    """Shares a list and returns the token of the new link. If the list has a link, the new link replaces it."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    values = {"token_hash": hash_token(token), "created": timezone.now()}
    ShareLink.objects.update_or_create(watchlist_id=list_key, defaults=values)
    return token


def find_shared_list(token: str) -> SharedList | None:
    """Returns the list that the link with this token shows.

    Returns None if the token is unknown, if the link was revoked, or if the owner's account is deactivated.
    """
    if not TOKEN.fullmatch(token):
        return None
    links = ShareLink.objects.filter(token_hash=hash_token(token), watchlist__owner__is_active=True)
    link = links.select_related("watchlist").first()
    if link is None:
        return None
    entries = Entry.objects.filter(watchlist=link.watchlist_id).order_by("position", "id")
    symbols = tuple(entries.values_list("ticker__symbol", flat=True))
    return SharedList(link.watchlist.name, symbols, link.watchlist.version, link.token_hash)


def hash_token(token: str) -> str:
    return sha256(token.encode()).hexdigest()
