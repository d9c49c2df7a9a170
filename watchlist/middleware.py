"""What is answered while the database is away: 503, in words, and a page that tries again by itself.

Prices need no database; lists, accounts and the first paint of a page do.
"""

import sys
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.deprecation import MiddlewareMixin
from django.views.defaults import server_error

from watchlist.accounts.preferences import appearance_from_cookie

RETRY_AFTER = 3
"""Seconds after which a page that could not be shown asks again."""

log = structlog.get_logger(__name__)


class DatabaseOutageMiddleware(MiddlewareMixin):
    """Answers for a view that the database did not answer; any other error stays an error of ours."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return answer_outage(request, error) if is_unavailable(error) else None


def show_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500, for what no view raised: a session, for one, is saved when the view is over."""
    error = sys.exc_info()[1]
    if isinstance(error, Exception) and is_unavailable(error):
        return answer_outage(request, error)
    return server_error(request)


def answer_outage(request: HttpRequest, error: Exception) -> HttpResponse:
    log.warning("a request could not be served: the database is away", reason=type(error).__name__)
    response = show_outage(request)
    response.headers["Retry-After"] = str(RETRY_AFTER)
    response.headers["Cache-Control"] = "no-store"
    return response


def is_unavailable(error: Exception) -> bool:
    """Whether the connection failed, or the database was busy for too long, and not our question was wrong."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    raw: Any = connection.connection
    return raw is None or bool(getattr(raw, "closed", False)) or "locked" in str(error)


def show_outage(request: HttpRequest) -> HttpResponse:
    """The page; JSON for scripts. Asks the database nothing, not even who is signed in."""
    if request.path.startswith("/api/"):
        return JsonResponse({"error": "the database does not answer now"}, status=503)
    changed = request.method not in {"GET", "HEAD"}
    context = {"look": appearance_from_cookie(request), "changed": changed, "seconds": RETRY_AFTER}
    return HttpResponse(render_to_string("503.html", context), status=503)
