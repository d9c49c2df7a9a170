import pytest
from django.db import DatabaseError, connection
from django.test import AsyncRequestFactory, RequestFactory
from prometheus_client import REGISTRY

from stockwatch.serving import request_metrics
from stockwatch.serving.page_handler import PageHandler


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


class Change:
    """How much a series has grown since this object was made."""

    def __init__(self, name: str, **labels: str) -> None:
        self._read = lambda: value(name, **labels)
        self._before = self._read()

    def __eq__(self, other: object) -> bool:
        return self._read() - self._before == other

    __hash__ = None


async def test_the_handler_of_pages_counts_a_request_under_its_route_method_and_status():
    counted = Change("stockwatch_http_requests_total", route="/livez", method="GET", status="200")
    timed = Change("stockwatch_http_request_seconds_count", route="/livez")
    handler = PageHandler()
    handler.load_middleware()
    await handler.get_response_async(AsyncRequestFactory().get("/livez"))
    assert (counted, timed) == (1, 1)


def test_names_that_a_client_invents_are_not_shown():
    counted = Change("stockwatch_http_requests_total", route="unmatched", method="other", status="404")
    request_metrics.note_response(RequestFactory().generic("INVENTED", "/no/such/page"), 404, 0.1)
    assert counted == 1


@pytest.fixture
def watched(db):
    request_metrics._watch(connection)
    request_metrics._watch(connection)
    yield connection
    connection.execute_wrappers.clear()


def test_a_query_is_timed_once_however_often_the_connection_was_opened(watched):
    timed = Change("stockwatch_database_query_seconds_count")
    with watched.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert timed == 1


def test_a_failed_query_counts_under_the_class_of_its_error(watched):
    error = "ProgrammingError" if connection.vendor == "postgresql" else "OperationalError"
    failed = Change("stockwatch_database_errors_total", error=error)
    with pytest.raises(DatabaseError), watched.cursor() as cursor:
        cursor.execute("SELECT * FROM no_such_table")
    assert failed == 1
