"""Refuses requests from an open page that was made for a different account.

For example, a person signs out in one tab. A page that is open in another tab still shows the lists of the account.
"""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect

# Only scripts send this header. A form without scripts does not need it, because it loads a whole new page.
HEADER = "Watchlist-Owner"
"""The request header that says for which account the page was made. Its value is the result of `page_owner`."""
VISITOR = "0"
"""The owner of a page that was made for a visitor, who has no account."""

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def page_owner(request: HttpRequest) -> str:
    """Returns the primary key of the request's account as text. Returns VISITOR if there is no account."""
    return str(request.user.pk or VISITOR)


def require_same_owner(view: View[P]) -> View[P]:
    """Makes a view refuse requests from a page that was made for a different account.

    A refused request does not reach the view. The browser then loads a new page with an explanation.
    """

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        owner = request.headers.get(HEADER)
        if owner is None or owner == page_owner(request):
            return view(request, *args, **kwargs)
        prefix = "" if request.method == "GET" else "Nothing was changed. "
        if request.user.is_authenticated:
            messages.error(request, f"{prefix}You signed in in another tab. These are your lists.")
        else:
            messages.error(request, f"{prefix}Your session has ended. Sign in again to see your lists.")
        return HttpResponseClientRedirect(reverse("watchlist"))

    return guarded
