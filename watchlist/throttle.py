"""How often one address may do what costs something: open accounts, have mail sent. Counted in Redis, by the hour."""

import redis
import structlog
from django.http import HttpRequest

from watchlist.gateway.limits import client_address
from watchlist.quotes import redis_client

HOUR = 3600
log = structlog.get_logger(__name__)


def may_go_on(request: HttpRequest, what: str, most: int) -> bool:
    """Counts this time, and says whether it is within `most` an hour. A Redis that is away lets people in."""
    key = f"throttle:{what}:{client_address((request.META.get('REMOTE_ADDR', ''), 0))}"
    try:
        # Made with its end in one command: a key that was left without one would shut the address out for good.
        pipe = redis_client().pipeline(transaction=True)
        pipe.set(key, 0, ex=HOUR, nx=True)
        pipe.incr(key)
        return int(pipe.execute()[1]) <= most
    except redis.RedisError as error:
        log.warning("a throttle could not be asked, everyone passes", what=what, error=type(error).__name__)
        return True
