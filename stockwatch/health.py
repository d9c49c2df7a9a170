"""The pages `/livez`, `/readyz` and `/metrics` of a gateway process."""

from collections.abc import Callable
from typing import Any

import redis
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse
from django.views.decorators.cache import never_cache
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from feeds.errors import StoreUnavailable
from feeds.store.cluster.client import ClusterClient
from feeds.store.connection import PROBE, connect
from stockwatch.metrics_access import may_see_metrics
from watchlist.lists.search import served_sources
from watchlist.prices.source_states import read_source_states

more_checks: dict[str, Callable[[], bool]] = {}
"""Maps names to further checks of `/readyz`. A check returns whether it passes, and must return immediately."""


@login_not_required
@never_cache
def show_alive(_request: HttpRequest) -> HttpResponse:
    """Always answers 200. Does not check dependencies."""
    return JsonResponse({"status": "alive"})


@login_not_required
@never_cache
def show_ready(request: HttpRequest) -> HttpResponse:
    """Answers 200 if Redis answers, the database answers, and all `more_checks` pass.

    If one of them fails, answers 503 with the names of the failed checks. A disconnected source of prices is shown, but
    does not cause a 503. Clients outside METRICS_ALLOWED_NETWORKS get only the status.
    """
    checks = {"redis": redis_answers, "database": database_answers}
    down = [name for name, answers in checks.items() if not answers()]
    if "redis" not in down:  # Without Redis no price arrives either.
        down += [name for name, passes in more_checks.items() if not passes()]
    if not _may_see_metrics(request):
        return JsonResponse({"status": "not ready" if down else "ready"}, status=503 if down else 200)
    sources = {} if {"redis", "database"}.intersection(down) else describe_source_states()
    body = {"sources": sources, **describe_nodes()}
    if down:
        return JsonResponse({"status": "not ready", "down": down, **body}, status=503)
    return JsonResponse({"status": "ready", **body})


@login_not_required
@never_cache
def show_metrics(request: HttpRequest) -> HttpResponse:
    """Returns the metrics in the Prometheus text format. The gateway's metrics are totals over its processes.

    Clients outside METRICS_ALLOWED_NETWORKS get 403.
    """
    if not _may_see_metrics(request):
        return HttpResponseForbidden(
            "Metrics are shown to METRICS_ALLOWED_NETWORKS only.\n", content_type="text/plain; charset=utf-8"
        )
    return HttpResponse(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)


def _may_see_metrics(request: HttpRequest) -> bool:
    return may_see_metrics(request.META, settings.METRICS_ALLOWED_NETWORKS, settings.GATEWAY_TRUSTED_PROXIES)


def describe_source_states() -> dict[str, dict[str, Any]]:
    """Returns a dict from source to a dict with the keys `state`, `reason` and `since`.

    The sources are those of the served tickers, without `simulated`. `since` is in unix microseconds, or 0 if unknown.
    If Redis or the database does not answer, the result is empty.
    """
    client = connect(settings.REDIS, PROBE)
    try:
        states = read_source_states(client, served_sources())
    except (StoreUnavailable, DatabaseError):
        return {}
    finally:
        client.close()
    return {
        source: {"state": state.state, "reason": state.reason, "since": state.since} for source, state in states.items()
    }


def describe_nodes() -> dict[str, list[str]]:
    """Returns the cluster nodes that do not answer, such as `{"lost_nodes": ["10.0.0.1:6379"]}`.

    Returns an empty dict if Redis is one server.
    """
    client = connect(settings.REDIS, PROBE)
    try:
        return {"lost_nodes": client.lost_nodes()} if isinstance(client, ClusterClient) else {}
    finally:
        client.close()


def redis_answers() -> bool:
    """Returns whether Redis answers a PING within a second. In a cluster, all nodes that serve slots must answer."""
    client = connect(settings.REDIS, PROBE)
    try:
        return _succeeds(client.ping)
    finally:
        client.close()


def database_answers() -> bool:
    """Returns whether the database answers a query."""

    def query() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    return _succeeds(query)


def _succeeds(check: Callable[[], object]) -> bool:
    try:
        check()
    except (redis.RedisError, DatabaseError, OSError):
        return False
    return True
