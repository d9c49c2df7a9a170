"""Makes personal tokens for tests of the API."""

from django.contrib.auth.models import User
from django.utils import timezone

from watchlist.accounts.tokens import SCOPES, create_token


def bearer(user: User, *scopes: str) -> dict[str, str]:
    """Creates a token with these scopes, or with all scopes. Returns the headers of a request with the token."""
    return {"Authorization": f"Bearer {create_token(user, 'test', scopes or list(SCOPES), timezone.now())}"}
