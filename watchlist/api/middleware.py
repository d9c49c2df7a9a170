"""Defines middleware for the HTTP API: personal tokens, their limit, and errors as problem+json.

`TokenMiddleware` serves all addresses below `/api/` and `/v8/`. `ProblemMiddleware` serves those below `/api/v1/`.
"""

import json
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.cache import patch_vary_headers

from watchlist.accounts.throttle import Usage, count_action
from watchlist.accounts.tokens import PREFIX, READ, find_token, note_use, read_bearer
from watchlist.api.chart_json import make_chart_error
from watchlist.api.responses import PROBLEM_JSON, refuse
from watchlist.api.v1.problems import encode_problem

API_PATH, V1_PATH, CHART_PATH = "/api/", "/api/v1/", "/v8/"
WINDOW_SECONDS = 60
METHODS = "GET, HEAD, POST, PATCH, DELETE"
EXPOSED_HEADERS = "ETag, Location, Retry-After, RateLimit, RateLimit-Policy"

Next = Callable[[HttpRequest], HttpResponseBase]


class TokenMiddleware:
    """Finds the account of a request with a personal token, and limits the requests of each token.

    Sets `request.api_token` to the row of the token, or to None if the request has no personal token. Answers 401 if
    the token is not valid, and 429 after too many requests. For `/api/v1/`, `v1.access` checks the scopes of the token.
    For the other addresses, this class answers 403 if the token has no scope `read`.
    """

    def __init__(self, get_response: Next) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.api_token = None  # type: ignore[attr-defined]
        text = read_bearer(request.headers.get("Authorization", ""))
        if text is None or not request.path.startswith((API_PATH, CHART_PATH)):
            return self._get_response(request)
        # The page itself uses the earlier addresses. A proxy for signing in may add a token of its own to its requests.
        if not request.path.startswith(V1_PATH) and not text.startswith(PREFIX):
            return self._get_response(request)
        token = find_token(text)
        if token is None:
            response = _refuse(request, "the token is not valid", 401)
            response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
            return response
        usage = count_action(f"api-token:{token.pk}", WINDOW_SECONDS)
        if usage is not None and usage.count > settings.API_REQUESTS_PER_MINUTE:
            return _add_limits(_refuse_later(request, usage), usage)
        note_use(token, timezone.now())
        request.api_token = token  # type: ignore[attr-defined]
        if not request.path.startswith(V1_PATH) and READ not in token.scope_names:
            return _refuse(request, "the token has no scope read", 403)
        return _add_limits(self._get_response(request), usage)


class ProblemMiddleware:
    """Gives each error response of `/api/v1/` the form of RFC 9457, whatever code made the response.

    Also lets pages of any site read the responses, answers CORS preflights, and serves HEAD as GET.
    """

    def __init__(self, get_response: Next) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(V1_PATH):
            return self._get_response(request)
        if request.method == "OPTIONS":
            return _allow_origin(_answer_preflight())
        if request.method == "HEAD":
            request.method = "GET"  # the server sends no body, because it knows the method of the client
        response = self._get_response(request)
        if isinstance(response, HttpResponse) and response.status_code >= 400:
            _make_problem(response)
        if "Allow" in response.headers:
            response.headers["Allow"] = _complete_methods(response.headers["Allow"])
        patch_vary_headers(response, ["Accept"])
        return _allow_origin(response)


def _refuse(request: HttpRequest, message: str, status: int) -> HttpResponse:
    """Returns an error response. Below `/v8/` it has the shape that dashboards expect."""
    return make_chart_error(message, status) if request.path.startswith(CHART_PATH) else refuse(message, status)


def _refuse_later(request: HttpRequest, usage: Usage) -> HttpResponse:
    response = _refuse(request, "too many requests with this token", 429)
    response.headers["Retry-After"] = str(usage.seconds_left)
    return response


def _add_limits(response: HttpResponseBase, usage: Usage | None) -> HttpResponseBase:
    """Adds the headers `RateLimit` and `RateLimit-Policy` of the IETF draft httpapi-ratelimit-headers, version 10."""
    if usage is not None:
        limit = settings.API_REQUESTS_PER_MINUTE
        response.headers["RateLimit-Policy"] = f'"token";q={limit};w={WINDOW_SECONDS}'
        response.headers["RateLimit"] = f'"token";r={max(0, limit - usage.count)};t={usage.seconds_left}'
    return response


def _answer_preflight() -> HttpResponse:
    response = HttpResponse(status=204)
    response.headers["Access-Control-Allow-Methods"] = METHODS
    response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, If-Match, If-None-Match"
    response.headers["Access-Control-Max-Age"] = "86400"
    return response


def _allow_origin(response: HttpResponseBase) -> HttpResponseBase:
    # No cookie is needed to read a public price, and a browser sends no cookie to an origin `*`.
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    return response


def _make_problem(response: HttpResponse) -> None:
    """Replaces the body of an error response with a problem. Does nothing if the body is a problem already."""
    if response.headers.get("Content-Type", "") == PROBLEM_JSON:
        return
    response.content = encode_problem(response.status_code, _read_message(response))
    response.headers["Content-Type"] = PROBLEM_JSON
    response.headers["Content-Length"] = str(len(response.content))  # Django has counted the bytes of the old body
    response.headers["Cache-Control"] = "no-store"


def _read_message(response: HttpResponse) -> str:
    """Returns the text of an error response `{"error": …}`, or an empty text for other responses."""
    if not response.headers.get("Content-Type", "").startswith("application/json"):
        return ""
    body = json.loads(response.content)
    return str(body.get("error", "")) if isinstance(body, dict) else ""


def _complete_methods(allowed: str) -> str:
    """Returns a value of the header Allow with the methods that this middleware adds to each view."""
    methods = {method.strip() for method in allowed.split(",")} | {"OPTIONS"}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
