"""What operators ask a running process: is it alive, can it serve, what does it count."""

from collections.abc import Callable

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from redis.backoff import NoBackoff
from redis.retry import Retry

ANSWER_WITHIN = 1.0
"""Seconds a part may take to answer before it counts as down."""


@never_cache
def show_alive(_request: HttpRequest) -> HttpResponse:
    """200 while the process answers at all; what it depends on does not matter."""
    return JsonResponse({"status": "alive"})


@never_cache
def show_ready(_request: HttpRequest) -> HttpResponse:
    """200 when Redis and the database answer, else 503 and the names of what is down."""
    parts = {"redis": answers_redis, "database": answers_database}
    down = [name for name, answers in parts.items() if not answers()]
    if down:
        return JsonResponse({"status": "not ready", "down": down}, status=503)
    return JsonResponse({"status": "ready"})


@never_cache
def show_metrics(_request: HttpRequest) -> HttpResponse:
    """All metrics of this process in the Prometheus text format."""
    return HttpResponse(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)


def answers_redis() -> bool:
    """Whether Redis answers within ANSWER_WITHIN."""
    client = redis.Redis(
        **settings.REDIS,
        socket_timeout=ANSWER_WITHIN,
        socket_connect_timeout=ANSWER_WITHIN,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    try:
        return _succeeds(client.ping)
    finally:
        client.close()


def answers_database() -> bool:
    """Whether the database answers a query."""

    def ask() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    return _succeeds(ask)


def _succeeds(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except (redis.RedisError, DatabaseError, OSError):
        return False
    return True
