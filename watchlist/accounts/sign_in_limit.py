"""Limits wrong passwords per client address and per account name. The counts are in Redis.

Each attempt to sign in counts as a failure before the password is checked. A right password takes this failure back. If
a limit is reached only with attempts that are still being checked, the next one must wait for seconds, not for the rest
of SIGN_IN_WINDOW. If Redis is unavailable, every attempt is allowed.
"""

import hashlib
import unicodedata
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, Concatenate

import redis
import structlog
from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from feeds.store.keys import group_prefix
from watchlist.accounts.throttle import address_of
from watchlist.prices.quotes import redis_client

MAX_NAME_LENGTH = 150
"""The maximum length of an account name in characters, as in Django's model."""
NAME_LIMIT_FACTOR = 5  # with a higher limit for names, one address cannot block a name
"""The limit of an account name is the limit of an address times this factor."""

# A script uses the key of an address and the key of a name together, so both must have the same slot.
KEY_GROUP = "sign-in"
"""The group of the Redis keys in this module. All keys of a group have the same slot in a Redis Cluster."""

RUNNING_MS = 60_000
"""How long an attempt can run. A process that dies during an attempt leaves it counted as running for this time."""
RETRY_MS = 3_000
"""How long to wait if only the attempts that are still running reach a limit."""

# The KEYS of each script: the counts of an address and, for a sign-in, of a name. Then the counts of the attempts among
# them that are still running.
COUNT_ATTEMPT = f"""
-- ARGV: the lifetime of the counts in ms, then the maximum of each.
-- Increments all counts and returns 0. If a count is at its maximum, changes nothing and returns the ms to wait.
local half = #KEYS / 2
local wait = 0
for at = 1, half do
  local count, most = tonumber(redis.call('GET', KEYS[at]) or '0'), tonumber(ARGV[1 + at])
  if count >= most then
    local failures = count - tonumber(redis.call('GET', KEYS[half + at]) or '0')
    wait = math.max(wait, failures >= most and redis.call('PTTL', KEYS[at]) or {RETRY_MS})
  end
end
if wait > 0 then return wait end
for at = 1, half do
  redis.call('SET', KEYS[at], 0, 'PX', ARGV[1], 'NX')
  redis.call('INCR', KEYS[at])
  redis.call('INCR', KEYS[half + at])
  redis.call('PEXPIRE', KEYS[half + at], {RUNNING_MS})
end
return 0
"""
DECREMENT = """
local half = #KEYS / 2
local function decrement(key)
  if tonumber(redis.call('GET', key) or '0') > 0 then redis.call('DECR', key) end
end
for at = 1, half do decrement(KEYS[half + at]) end
"""
FORGIVE_ATTEMPT = (
    DECREMENT
    + """
-- After a correct password: clears the name's count and subtracts one from the address's count. Clearing the address's
-- count would let the owner of one account guess all other passwords without limit.
redis.call('DEL', KEYS[2])
decrement(KEYS[1])
return 0
"""
)
UNDO_ATTEMPT = (
    DECREMENT
    + """
-- After an error on the server's side: subtracts one from both counts.
for at = 1, half do decrement(KEYS[at]) end
return 0
"""
)
KEEP_ATTEMPT = DECREMENT + "return 0"
"""After a wrong password: the attempt is no longer running, and stays counted as a failure."""

log = structlog.get_logger(__name__)

View = Callable[Concatenate[HttpRequest, ...], HttpResponseBase]


def limit_attempts(view: View) -> View:
    """Makes a sign-in view answer 429 with `Retry-After` after too many failed sign-ins.

    The limit for one client address is SIGN_IN_FAILURES within SIGN_IN_WINDOW. The limit for one account name is
    NAME_LIMIT_FACTOR times as high, and counts the failures from all addresses.
    """

    @wraps(view)
    def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST":
            return view(request, *args, **kwargs)
        return _answer(request, attempt_keys(request), lambda: view(request, *args, **kwargs))

    return limited


def limit_password_checks(view: View) -> View:
    """Limits wrong passwords in a view that asks a signed-in person for the password again.

    The limits are those of `limit_attempts`. A password counts as right if the view calls `confirm_password` or
    redirects.
    """

    @wraps(view)
    def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST" or not request.user.is_authenticated:
            return view(request, *args, **kwargs)

        def answer() -> HttpResponseBase:
            response = view(request, *args, **kwargs)
            if response.status_code == HTTPStatus.FOUND:
                confirm_password(request)
            return response

        return _answer(request, [address_key(request), name_key(request.user.get_username())], answer)

    return limited


def limit_name_checks(view: View) -> View:
    """Limits how often the sign-up view tells one client address that a name is taken.

    Each such answer counts as a failed sign-in of the address.
    """

    @wraps(view)
    def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST":
            return view(request, *args, **kwargs)
        keys = [address_key(request)]
        if wait := _count_attempt(keys):
            return _refuse(request, wait)
        try:
            response = view(request, *args, **kwargs)
        except BaseException:
            _run(UNDO_ATTEMPT, keys)
            raise
        _run(KEEP_ATTEMPT if getattr(request, "has_revealed_name", False) else UNDO_ATTEMPT, keys)
        return response

    return limited


def confirm_password(request: HttpRequest) -> None:
    """Notes in the request that the person has entered the right password."""
    request.has_confirmed_password = True  # type: ignore[attr-defined]


def reveal_name(request: HttpRequest) -> None:
    """Notes in the request that the response reveals a taken account name."""
    request.has_revealed_name = True  # type: ignore[attr-defined]


def _answer(request: HttpRequest, keys: list[str], view: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """Calls the view if one more attempt to enter a password is allowed. Answers 429 if not.

    The attempt counts as a failure before the call. A right password, or an error of the view, takes this failure back.
    """
    # Counted before the check, so that parallel attempts cannot exceed the limit.
    if wait := _count_attempt(keys):
        return _refuse(request, wait)
    try:
        response = view()
    except BaseException:
        _run(FORGIVE_ATTEMPT if _was_right(request) else UNDO_ATTEMPT, keys)
        raise
    _run(FORGIVE_ATTEMPT if _was_right(request) else KEEP_ATTEMPT, keys)
    return response


@receiver(user_logged_in)
def mark_signed_in(request: HttpRequest | None, **_: Any) -> None:
    """Calls `confirm_password` after each sign-in."""
    # The response does not show that the password was right: the view also redirects a person who was signed in before.
    if request is not None:
        confirm_password(request)


def clear_failures(name: str) -> None:
    """Clears the failure count of an account name. A password reset by e-mail calls this function."""
    try:
        client = redis_client()
        client.delete(group_prefix(client, KEY_GROUP) + name_key(name))
    except redis.RedisError as error:
        log.warning("Redis unavailable, failed sign-ins not cleared", error=type(error).__name__)


def attempt_keys(request: HttpRequest) -> list[str]:
    """Returns the two Redis keys that count failed sign-ins: one of the client address, one of the account name."""
    return [address_key(request), name_key(request.POST.get("username", ""))]


def address_key(request: HttpRequest) -> str:
    return f"throttle:sign-in:{address_of(request)}"


def name_key(name: str) -> str:
    """Returns the Redis key of an account name. The key contains a hash of the normalized name."""
    name = name.strip()
    # Normalization takes quadratic time. No account has a longer name, and Django does not normalize longer names.
    if len(name) <= MAX_NAME_LENGTH:
        name = unicodedata.normalize("NFKC", name)
    # A hash, because names may be long and are private.
    return f"throttle:sign-in-name:{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:32]}"


def write_wait(seconds: int) -> str:
    """Returns a waiting time in words, such as `40 seconds` or `7 minutes`. Minutes are rounded up."""
    number, unit = (seconds, "second") if seconds < 60 else (-(-seconds // 60), "minute")
    return f"{number} {unit}{'s' * (number != 1)}"


def _count_attempt(keys: list[str]) -> int:
    """Adds 1 to the failure counts under `keys` and returns 0.

    If one of the counts is at its maximum, changes no count, and returns the milliseconds to wait.
    """
    lifetime = int(settings.SIGN_IN_WINDOW.total_seconds() * 1000)
    max_failures = settings.SIGN_IN_FAILURES
    return _run(COUNT_ATTEMPT, keys, lifetime, max_failures, max_failures * NAME_LIMIT_FACTOR)


def _refuse(request: HttpRequest, wait: int) -> HttpResponse:
    seconds = -(-wait // 1000)
    response = render(request, "watchlist/sign_in_later.html", {"wait": write_wait(seconds)}, status=429)
    response.headers["Retry-After"] = str(seconds)
    return response


def _was_right(request: HttpRequest) -> bool:
    return getattr(request, "has_confirmed_password", False)


def _run(script: str, keys: list[str], *arguments: int) -> int:
    try:
        client = redis_client()
        prefix = group_prefix(client, KEY_GROUP)
        all_keys = [prefix + key for key in (*keys, *(key.replace(":", ":running:", 1) for key in keys))]
        return int(client.register_script(script)(keys=all_keys, args=arguments))
    except redis.RedisError as error:  # an outage must not lock people out
        log.warning("Redis unavailable, sign-in not throttled", error=type(error).__name__)
        return 0
