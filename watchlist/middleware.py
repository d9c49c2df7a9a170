"""Defines middleware for trusted proxies, web sessions, private sites, outages and overload."""

import sys
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import MiddlewareNotUsed
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin
from django.views.defaults import server_error
from django_htmx.http import HttpResponseClientRedirect

from watchlist.accounts.client_address import is_trusted
from watchlist.accounts.preferences import appearance_from_cookie
from watchlist.accounts.signed_sessions import renew_signature
from watchlist.api.chart_json import make_chart_error
from watchlist.errors import TooManyHashes

RETRY_AFTER_SECONDS = 3
"""How long the 503 page waits before it reloads itself. The header `Retry-After` has the same value."""

API_PATH, CHART_PATH = "/api/", "/v8/"

log = structlog.get_logger(__name__)


class TrustedSchemeMiddleware(MiddlewareMixin):
    """Removes the header X-Forwarded-Proto from each request that does not come from a trusted proxy.

    Django takes the scheme of a request, `http` or `https`, from this header.
    """

    def process_request(self, request: HttpRequest) -> None:
        if not is_trusted(request.META.get("REMOTE_ADDR", ""), settings.GATEWAY_TRUSTED_PROXIES):
            request.META.pop("HTTP_X_FORWARDED_PROTO", None)


class DatabaseOutageMiddleware(MiddlewareMixin):
    """Answers with 503 if a view fails because the database is unavailable."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return report_outage(request, error) if is_outage(error) else None


class BusyHashesMiddleware(MiddlewareMixin):
    """Answers with 503 if too many passwords are being checked at once."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, TooManyHashes):
            return None
        log.warning("too many passwords to check, request not served")
        response = render(request, "watchlist/sign_in_busy.html", status=503)
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        response.headers["Cache-Control"] = "no-store"
        return response


class ProlongSessionMiddleware(MiddlewareMixin):
    """Prolongs each web session that is in use, at most once a day."""

    # A visitor who returns then keeps the lists, which are in the web session.

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        session: Any = getattr(request, "session", None)
        if session is not None and session.accessed and session.can_be_prolonged:
            session.modified = True
        return response


class RenewSignatureMiddleware(MiddlewareMixin):
    """Signs web sessions again with SECRET_KEY if an old key in SECRET_KEY_FALLBACKS has signed them.

    Django does not load this middleware if there are no old keys.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if not settings.SECRET_KEY_FALLBACKS:
            raise MiddlewareNotUsed
        super().__init__(get_response)

    def process_request(self, request: HttpRequest) -> None:
        if settings.SESSION_COOKIE_NAME in request.COOKIES:
            renew_signature(request.session)


class PrivateSiteMiddleware(LoginRequiredMiddleware):
    """Requires a signed-in account or a personal token for each request, if the setting PRIVATE is true.

    Views with the decorator `login_not_required`, such as sign-in, need no account. `watchlist.api.middleware` has
    checked the token.
    """

    def process_view(
        self, request: HttpRequest, view_func: Any, view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        if not settings.PRIVATE or getattr(request, "api_token", None) is not None:
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)

    def handle_no_permission(  # type: ignore[override]  # the base class only redirects
        self, request: HttpRequest, view_func: Any
    ) -> HttpResponseBase:
        """Answers with 401 to programs, and with a redirect to the sign-in page to people."""
        if refusal := refuse_program(request, "this site is private: sign in first", 401):
            return refusal
        is_htmx = bool(getattr(request, "htmx", False))
        # The address of a change or of a part of a page is not a page that a person can return to.
        is_page = request.method == "GET" and not is_htmx
        next_page = request.get_full_path() if is_page else reverse("watchlist")
        redirect = redirect_to_login(next_page, self.get_login_url(view_func))
        response = HttpResponseClientRedirect(redirect.url) if is_htmx else redirect
        response.headers["Cache-Control"] = "no-store"
        return response


def refuse_program(request: HttpRequest, message: str, status: int) -> HttpResponse | None:
    """Returns an error response for an address that only programs request. Returns None for other addresses."""
    if request.path.startswith(CHART_PATH):
        return make_chart_error(message, status)
    return refuse_api_request(message, status) if request.path.startswith(API_PATH) else None


def refuse_api_request(message: str, status: int) -> JsonResponse:
    """Returns an error response of the API with this message. Pages of any site may read the response."""
    response = JsonResponse({"error": message}, status=status)
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cache-Control"] = "no-store"
    return response


def show_error(request: HttpRequest) -> HttpResponse:
    """Returns the response to an unhandled error: 503 for a database outage, 500 for every other error.

    Django calls this function as `handler500`.
    """
    error = sys.exc_info()[1]
    if isinstance(error, Exception) and is_outage(error):
        return report_outage(request, error)
    return server_error(request)


def is_outage(error: Exception) -> bool:
    """Returns whether a database error means that the database is unavailable.

    Returns True for a failed connection and for a lock timeout. Returns False for an error in a query.
    """
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    raw: Any = connection.connection
    return raw is None or bool(getattr(raw, "closed", False)) or "locked" in str(error)


def report_outage(request: HttpRequest, error: Exception) -> HttpResponse:
    """Logs that the database is unavailable, and returns the response with the status 503."""
    log.warning("database unavailable, request not served", error=type(error).__name__)
    response = _render_outage(request)
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    response.headers["Cache-Control"] = "no-store"
    return response


def _render_outage(request: HttpRequest) -> HttpResponse:
    """Returns the 503 page, or JSON for addresses that only programs request. Makes no database query."""
    if refusal := refuse_program(request, "the database is unavailable", 503):
        return refusal
    # The appearance is read from a cookie, because the database is unavailable.
    is_change = request.method not in {"GET", "HEAD"}
    context = {"appearance": appearance_from_cookie(request), "is_change": is_change, "seconds": RETRY_AFTER_SECONDS}
    return HttpResponse(render_to_string("503.html", context), status=503)
