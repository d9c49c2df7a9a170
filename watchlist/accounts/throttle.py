"""How often one address may do what costs something: open accounts, have mail sent, guess passwords. Counted in Redis.

An address is counted by the gateway's rule, behind trusted proxies the one they forward. A Redis that is away lets
people in: nobody is locked out because something of ours is down.
"""

import hashlib
import unicodedata
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate

import redis
import structlog
from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render

from watchlist.accounts.client_address import client_address
from watchlist.prices.quotes import redis_client

HOUR = 3600
BEGIN = """
-- KEYS: the counts of an address and of a name. ARGV: for how many ms they are kept, how many there may be of each.
-- Counts one more of each and returns 0; where either has enough already, counts nothing and returns the ms to wait.
local wait = 0
for at, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or '0') >= tonumber(ARGV[1 + at]) then
    wait = math.max(wait, redis.call('PTTL', key))
  end
end
if wait > 0 then return wait end
for _, key in ipairs(KEYS) do
  redis.call('SET', key, 0, 'PX', ARGV[1], 'NX')
  redis.call('INCR', key)
end
return 0
"""
FORGIVE = """
-- KEYS as above. A password that was right: the name starts anew, the address has one failure less, and no more than
-- that, or whoever owns one account could guess at all others without end.
redis.call('DEL', KEYS[2])
if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then redis.call('DECR', KEYS[1]) end
return 0
"""
UNDO = """
-- KEYS as above. An attempt that came to no end, for something of ours failed.
for _, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or '0') > 0 then redis.call('DECR', key) end
end
return 0
"""
ADDRESSES = 5
"""How many addresses it takes to close a name for everybody: one alone is stopped before."""
log = structlog.get_logger(__name__)

View = Callable[Concatenate[HttpRequest, ...], HttpResponseBase]


def address_of(request: HttpRequest) -> str:
    """Whom a request counts for."""
    peer = (request.META.get("REMOTE_ADDR", ""), 0)
    return client_address(peer, request.META.get("HTTP_X_FORWARDED_FOR", ""), settings.GATEWAY_TRUSTED_PROXIES)


def is_allowed(request: HttpRequest, what: str, most: int) -> bool:
    """Counts this time, and says whether it is within `most` an hour."""
    key = f"throttle:{what}:{address_of(request)}"
    try:
        # Made with its end in one command: a key that was left without one would shut the address out for good.
        pipe = redis_client().pipeline(transaction=True)
        pipe.set(key, 0, ex=HOUR, nx=True)
        pipe.incr(key)
        return int(pipe.execute()[1]) <= most
    except redis.RedisError as error:
        log.warning("a throttle could not be asked, everyone passes", what=what, error=type(error).__name__)
        return True


def limit_attempts(view: View) -> View:
    """A sign-in view that lets an address fail SIGN_IN_FAILURES times in SIGN_IN_WINDOW, all at a name five times that.

    Each attempt is counted before the password is looked at, so that many at once are no way around it; one that was
    right is taken back. Whether the name exists makes no difference to any answer.
    """

    @wraps(view)
    def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST":
            return view(request, *args, **kwargs)
        keys = attempt_keys(request)
        window = settings.SIGN_IN_WINDOW.total_seconds()
        most = settings.SIGN_IN_FAILURES
        wait = _run(BEGIN, keys, int(window * 1000), most, most * ADDRESSES)
        if wait:
            seconds = -(-wait // 1000)
            response = render(request, "watchlist/sign_in_later.html", {"wait": name_wait(seconds)}, status=429)
            response.headers["Retry-After"] = str(seconds)
            return response
        verdict = UNDO
        try:
            answer = view(request, *args, **kwargs)
            verdict = ""
            return answer
        finally:
            if getattr(request, "password_was_right", False):
                verdict = FORGIVE
            if verdict:
                _run(verdict, keys)

    return limited


@receiver(user_logged_in)
def note_sign_in(request: HttpRequest | None, **_: Any) -> None:
    """An answer of the view would not tell: it sends on whoever is signed in already, whatever was typed."""
    if request is not None:
        request.password_was_right = True  # type: ignore[attr-defined]


def forget_name(name: str) -> None:
    """Opens a name again, whose owner has shown by a letter that he is it."""
    try:
        redis_client().delete(name_key(name))
    except redis.RedisError as error:
        log.warning("a throttle could not be asked, the name stays as it is", error=type(error).__name__)


def attempt_keys(request: HttpRequest) -> list[str]:
    """Under what an attempt to sign in is counted."""
    return [f"throttle:sign-in:{address_of(request)}", name_key(request.POST.get("username", ""))]


def name_key(name: str) -> str:
    """Names are hashed: they may be long, and are nobody's business."""
    name = unicodedata.normalize("NFKC", name).casefold().strip()
    return f"throttle:sign-in-name:{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:32]}"


def name_wait(seconds: int) -> str:
    """`40 seconds`, `7 minutes`; rounded up."""
    number, unit = (seconds, "second") if seconds < 60 else (-(-seconds // 60), "minute")
    return f"{number} {unit}{'s' * (number != 1)}"


def _run(script: str, keys: list[str], *arguments: int) -> int:
    try:
        return int(redis_client().register_script(script)(keys=keys, args=arguments))
    except redis.RedisError as error:
        log.warning("a throttle could not be asked, everyone passes", what="sign-in", error=type(error).__name__)
        return 0
