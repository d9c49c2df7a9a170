"""Whether a page and the request it makes are the same person's.

Another tab may have signed in or out meanwhile, or the session has ended: the lists in the page are not those that the
request would read or change then, so nothing is done and the page is loaded anew.
"""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect

HEADER = "Watchlist-Owner"
"""Whose page asks, by `owner_of`. Only scripts send it; a form without a script brings a whole page anyway."""
VISITOR = "0"

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def page_owner(request: HttpRequest) -> str:
    """The account's number, or VISITOR."""
    return str(request.user.pk or VISITOR)


def require_same_owner(view: View[P]) -> View[P]:
    """The view, but for a page that was made for somebody else an answer that has it loaded anew, and says why."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        asks = request.headers.get(HEADER)
        if asks is None or asks == page_owner(request):
            return view(request, *args, **kwargs)
        undone = "" if request.method == "GET" else "That was not done. "
        if request.user.is_authenticated:
            messages.error(request, f"{undone}You signed in in another tab meanwhile: these are your lists.")
        else:
            messages.error(request, f"{undone}Your session has ended: sign in again to go on with your lists.")
        return HttpResponseClientRedirect(reverse("watchlist"))

    return guarded
