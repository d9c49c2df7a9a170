"""Limits how often one client address, or one personal token, may do something in a period.

The counts are in Redis. If Redis is unavailable, every action is allowed: an outage must not lock people out.
"""

from dataclasses import dataclass

import redis
import structlog
from django.conf import settings
from django.http import HttpRequest

from watchlist.accounts.client_address import client_address
from watchlist.prices.quotes import redis_client

HOUR_SECONDS = 3600
log = structlog.get_logger(__name__)


def address_of(request: HttpRequest) -> str:
    """Returns the client address of a request."""
    peer = (request.META.get("REMOTE_ADDR", ""), 0)
    return client_address(peer, request.META.get("HTTP_X_FORWARDED_FOR", ""), settings.GATEWAY_TRUSTED_PROXIES)


@dataclass(frozen=True, slots=True)
class Usage:
    """How often something was done in the current period, and how many seconds the period still lasts."""

    count: int
    seconds_left: int


def allow_action(request: HttpRequest, action: str, max_per_hour: int) -> bool:
    """Counts an action of the request's client address. Returns whether the action is allowed.

    `action` names what is counted, such as `sign-up`.
    """
    usage = count_action(f"{action}:{address_of(request)}", HOUR_SECONDS)
    return usage is None or usage.count <= max_per_hour


def count_action(name: str, seconds: int) -> Usage | None:
    """Counts one action called `name`. Returns the usage with this action, or None if Redis is unavailable.

    A period begins with its first action and lasts `seconds`.
    """
    key = f"throttle:{name}"
    try:
        # SET creates the key with its expiry in one command: a key without an expiry would block the action forever.
        pipe = redis_client().pipeline(transaction=True)
        pipe.set(key, 0, ex=seconds, nx=True)
        pipe.incr(key)
        pipe.pttl(key)
        _, count, milliseconds = pipe.execute()
    except redis.RedisError as error:
        log.warning("Redis unavailable, action not throttled", action=name, error=type(error).__name__)
        return None
    return Usage(int(count), max(1, -(-int(milliseconds) // 1000)))


def may_start_session(request: HttpRequest) -> bool:
    """Returns whether the request may store data in its web session.

    A request with a web session may always store data. Requests without one may start at most
    VISITOR_SESSIONS_PER_HOUR web sessions per hour and client address.
    """
    request.session.get("lists")  # finds out whether the cookie is valid
    if request.session.session_key is not None:
        return True
    allowed: bool | None = getattr(request, "_may_start_session", None)
    if allowed is None:
        allowed = allow_action(request, "session", settings.VISITOR_SESSIONS_PER_HOUR)
        request._may_start_session = allowed  # type: ignore[attr-defined]
    return allowed
