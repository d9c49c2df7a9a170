"""Assembles the operations of the HTTP API `/api/v1`, and turns their errors into problems."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from watchlist.api.responses import PROBLEM_JSON
from watchlist.api.v1 import bars, feeds, links, lists, prices, tickers
from watchlist.api.v1.alerts import operations as alerts
from watchlist.api.v1.list_changes import VersionChanged
from watchlist.api.v1.problems import describe_inputs, encode_problem
from watchlist.errors import AlertRefused, ListRefused, NoSuchAlert, NoSuchList, NotListed, SessionEnded

RETRY_AFTER_SECONDS = 3
"""A client should repeat a request after this time if Redis is unavailable."""
LIST_STATUSES: Mapping[type[ListRefused], int] = {NoSuchList: 404, NotListed: 404, SessionEnded: 401}
"""The statuses of refused changes of lists. Every other refusal is a conflict with the stored lists: 409."""

api = NinjaAPI(
    title="stockwatch",
    version="1",
    description="Prices, watchlists and alerts for programs.",
    openapi_url=None,
    docs_url=None,
    urls_namespace="api-v1",
)
for router in (tickers.router, prices.router, bars.router, lists.router, links.router, alerts.router, feeds.router):
    api.add_router("", router)


@api.exception_handler(ValidationError)
def refuse_inputs(_request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Answers 422 to inputs that do not fit the document of the API, and names these inputs."""
    return make_problem(422, "Some inputs are not valid.", describe_inputs(error.errors))


@api.exception_handler(HttpError)
def refuse_request(_request: HttpRequest, error: HttpError) -> HttpResponse:
    """Answers with the status of the error, and with the headers that belong to the status."""
    response = make_problem(error.status_code, "" if error.status_code == 401 else error.message)
    if error.status_code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if error.status_code == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


@api.exception_handler(Exception)
def pass_on(_request: HttpRequest, error: Exception) -> HttpResponse:
    """Leaves every other error to Django's middlewares. Django Ninja would answer with a traceback if DEBUG is true."""
    raise error


@api.exception_handler(ListRefused)
def refuse_change(_request: HttpRequest, error: ListRefused) -> HttpResponse:
    """Answers 404 if the list or the symbol does not exist, and 409 if a rule forbids the change."""
    return make_problem(LIST_STATUSES.get(type(error), 409), str(error))


@api.exception_handler(AlertRefused)
def refuse_alert(_request: HttpRequest, error: AlertRefused) -> HttpResponse:
    """Answers 404 if the alert does not exist, and 409 if a rule forbids the change."""
    return make_problem(404 if isinstance(error, NoSuchAlert) else 409, str(error))


@api.exception_handler(VersionChanged)
def refuse_version(_request: HttpRequest, error: VersionChanged) -> HttpResponse:
    """Answers 412 if the list has another version than the request's header If-Match."""
    return make_problem(412, str(error))


def make_problem(status: int, detail: str, errors: Sequence[Mapping[str, Any]] = ()) -> HttpResponse:
    """Returns a problem of RFC 9457 as a response that no cache stores."""
    response = HttpResponse(encode_problem(status, detail, errors), status=status, content_type=PROBLEM_JSON)
    response.headers["Cache-Control"] = "no-store"
    return response
