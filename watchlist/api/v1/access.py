"""Decides whether a request may use an operation of the API, by its personal token.

`watchlist.api.middleware` has found the token before. On a private site, `watchlist.middleware` has refused requests
that have neither a token nor a signed-in account.
"""

from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest
from ninja.errors import AuthorizationError
from ninja.security.http import HttpAuthBase

from watchlist.accounts.tokens import ALERTS, LISTS, READ
from watchlist.models import ApiToken


class PersonalToken(HttpAuthBase):
    """Accepts requests whose token has the scope `scope`.

    A request without a token is accepted if `optional` is true, and refused with 401 if it is false. A token without
    the scope is refused with 403. The OpenAPI document uses the name of this class.
    """

    openapi_scheme = "bearer"
    openapi_description = "A personal token from the page /settings/tokens/. Without one, prices can still be read."

    def __init__(self, scope: str, optional: bool = False) -> None:
        super().__init__()
        self.scope = scope
        self.optional = optional

    def __call__(self, request: HttpRequest) -> Any:
        token = find_request_token(request)
        if token is None:
            return self.optional
        if self.scope not in token.scope_names:
            raise AuthorizationError(message=f"the token has no scope {self.scope}")
        return token


READ_ACCESS = PersonalToken(READ, optional=True)
LIST_ACCESS = PersonalToken(LISTS)
ALERT_ACCESS = PersonalToken(ALERTS)


def find_request_token(request: HttpRequest) -> ApiToken | None:
    """Returns the token of a request; None if the request has no token."""
    return getattr(request, "api_token", None)


def owner_of(request: HttpRequest) -> User:
    """Returns the account of the token of a request.

    Every request of an operation with LIST_ACCESS or ALERT_ACCESS has a token.
    """
    token = find_request_token(request)
    assert token is not None  # noqa: S101 - LIST_ACCESS, ALERT_ACCESS
    return token.owner
