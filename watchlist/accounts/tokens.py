"""Creates, finds and revokes personal tokens, with which programs use an account.

A token is shown once, when it is created. The database holds only its SHA-256, so that a copy of the database gives
access to no account. A token has 256 random bits, therefore a slow hash with salt is not needed.
"""

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction
from django.db.models import Q

from watchlist.errors import TooManyTokens
from watchlist.models import ApiToken

READ, LISTS, ALERTS = "read", "lists", "alerts"
SCOPES = {
    READ: "Read prices",
    LISTS: "Read and change your lists",
    ALERTS: "Read and change your alerts",
}
"""A dict from scope to its description for people. A program may use a token only for the scopes of the token."""

MAX_TOKENS = 20
"""The maximum number of valid tokens of an account. As many revoked tokens are kept, so that a person can see them."""
PREFIX = "sw_"
"""The first characters of each token. Programs that search code for published secrets can recognize them."""
SCHEME = "bearer "
TOKEN_PATTERN = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")
MAX_TOKEN_LENGTH = len(PREFIX) + 43
USE_PRECISION = timedelta(minutes=1)
"""The time of the last use is stored at most once in this time, so that a busy program causes few writes."""

log = structlog.get_logger(__name__)


@transaction.atomic
def create_token(owner: User, name: str, scopes: Sequence[str], now: datetime) -> str:
    """Creates a token for an account and returns it. Raises TooManyTokens."""
    User.objects.select_for_update().get(pk=owner.pk)  # two requests at once must not exceed the maximum
    if ApiToken.objects.filter(owner=owner, revoked=None).count() >= MAX_TOKENS:
        raise TooManyTokens(f"You have {MAX_TOKENS} tokens, which is the maximum. Revoke one first.")
    token = PREFIX + secrets.token_urlsafe(32)
    scope_names = " ".join(scope for scope in SCOPES if scope in scopes)
    ApiToken.objects.create(owner=owner, name=name, digest=hash_token(token), scopes=scope_names, created=now)
    return token


def read_bearer(authorization: str) -> str | None:
    """Returns the token in a header `Authorization: Bearer TOKEN`; None for other headers."""
    is_bearer = authorization[: len(SCHEME)].lower() == SCHEME
    return authorization[len(SCHEME) :].strip() if is_bearer else None


def find_token(token: str) -> ApiToken | None:
    """Returns the row of a valid token with its owner; None if no active account has this token."""
    if len(token) > MAX_TOKEN_LENGTH or not TOKEN_PATTERN.fullmatch(token):
        return None
    valid = ApiToken.objects.filter(digest=hash_token(token), revoked=None, owner__is_active=True)
    return valid.select_related("owner").first()


def note_use(token: ApiToken, now: datetime) -> None:
    """Stores that a program has used the token. A failure is only logged, because the request can go on."""
    before = now - USE_PRECISION
    if token.last_used is not None and token.last_used > before:
        return
    try:
        used_earlier = Q(last_used=None) | Q(last_used__lte=before)
        ApiToken.objects.filter(used_earlier, pk=token.pk).update(last_used=now)
    except DatabaseError as error:
        log.warning("use of a token not stored", error=type(error).__name__)


@transaction.atomic
def revoke_token(owner: User, key: int, now: datetime) -> str | None:
    """Revokes a token of the account. Returns its name; None if the account has no valid token with this key.

    Deletes the oldest revoked tokens of the account beyond MAX_TOKENS.
    """
    token = ApiToken.objects.filter(owner=owner, pk=key, revoked=None).first()
    if token is None:
        return None
    ApiToken.objects.filter(pk=token.pk).update(revoked=now)
    revoked = ApiToken.objects.filter(owner=owner).exclude(revoked=None).order_by("-revoked", "-id")
    ApiToken.objects.filter(pk__in=list(revoked.values_list("pk", flat=True)[MAX_TOKENS:])).delete()
    return token.name


def hash_token(token: str) -> str:
    """Returns the digest of a token, as the database holds it."""
    return hashlib.sha256(token.encode()).hexdigest()
