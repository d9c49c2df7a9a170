"""What one client may do: where it may come from, how often, how much. Pure but for `Admission`, which asks Redis.

The bucket of connections per address lives in Redis (`ratelimit:IP`: `tokens`, `last_refill` in unix seconds), so that
it holds over every gateway and over restarts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, TypeVar

from redis.exceptions import RedisError

from feeds.wire import RATE_LIMIT_PREFIX

Answer = TypeVar("Answer")
BUCKET = """
local now = tonumber(redis.call('TIME')[1])
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'last_refill')
local tokens = tonumber(kept[1]) or burst
local last = tonumber(kept[2]) or now
tokens = math.min(burst, tokens + math.max(0, now - last) * rate)
local wait = 0
if tokens < 1 then wait = math.ceil((1 - tokens) / rate) end
if ARGV[3] == '0' then return wait end
if tokens >= 1 then tokens = tokens - 1 end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'last_refill', now)
redis.call('EXPIRE', KEYS[1], 3600)
return wait
"""
ANSWER_WITHIN = 0.2
"""Seconds Redis has to answer; a gateway that cannot ask lets people in, and counts it."""
AT_ONCE = 16
"""Questions to Redis at the same time: when everybody comes at once, each is asked when it has a turn, and each answer
is read in time."""
SILENCE = 1.0
"""Seconds after an unanswered question in which none is asked: a Redis that hangs must not keep a queue of people."""


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits of a gateway; times in seconds. The names are those of the settings, without GATEWAY_."""

    allowed_origins: tuple[str, ...] = ("*",)
    trusted_proxies: tuple[str, ...] = ()
    max_connections: int = 1000
    max_symbols: int = 1024
    send_buffer: int = 256
    rate_per_second: float = 1.0
    rate_burst: int = 5
    write_wait: float = 10.0
    pong_wait: float = 60.0
    ping_period: float = 54.0
    first_request: float = 10.0
    messages_per_second: float = 5.0
    messages_burst: int = 20
    frames_per_second: float = 100.0
    frames_burst: int = 1000
    bad_requests: int = 10
    refusals: int = 20
    refusals_within: float = 10.0


def allows_origin(origin: str | None, allowed: Sequence[str]) -> bool:
    """A missing Origin passes, for programs send none; so does everything while the list is empty or has a `*`."""
    return origin is None or not allowed or "*" in allowed or origin in allowed


def is_own_origin(origin: str | None, host: str, allowed: Sequence[str]) -> bool:
    """Whether a page may be told what is private: it is ours, or its origin is named; `*` names nobody."""
    return origin is not None and (origin in allowed or origin.partition("://")[2] == host)


def client_address(client: Sequence[Any] | None, forwarded: str = "", trusted: Sequence[str] = ()) -> str:
    """Whom a connection counts for: the peer, or behind trusted proxies the last address that none of them has.

    An IPv4 address that came over an IPv6 socket is written as IPv4; IPv6 counts by its /64, for a home has that many.
    """
    networks = [ip_network(network, strict=False) for network in trusted]
    address = _parse_address(client[0]) if client else None
    for hop in reversed(forwarded.split(",") if forwarded else []):
        if address is None or not any(address in network for network in networks):
            break
        address = _parse_address(hop.strip())
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address or "unknown")


def _parse_address(text: Any) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


class Allowance:
    """A token bucket for the messages of one socket; time comes in as an argument, in seconds."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._at = now

    def spend(self, now: float) -> bool:
        """Takes a token; False when there is none."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def wait(self) -> float:
        """Seconds until the next token."""
        return max(0.0, (1 - self._tokens) / self._rate)


class Admission:
    """Asks Redis whether an address may open another connection now."""

    def __init__(self, redis: Any, limits: Limits, on_unanswered: Callable[[], None]) -> None:
        self._script = redis.register_script(BUCKET)
        self._limits = limits
        self._on_unanswered = on_unanswered
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._silent_until = 0.0

    async def wait_of(self, whom: str, *, spend: bool = True) -> int:
        """Seconds an address or account has to wait; 0 lets it in, as does a Redis that does not answer.

        Without `spend` the question costs nothing.
        """
        arguments = [self._limits.rate_per_second, self._limits.rate_burst, int(spend)]
        loop = asyncio.get_running_loop()
        async with self._turns:
            try:
                if loop.time() >= self._silent_until:
                    return int(await self._ask(self._script(keys=[RATE_LIMIT_PREFIX + whom], args=arguments)))
            except TimeoutError:
                self._silent_until = loop.time() + SILENCE
            except (RedisError, OSError):
                pass  # away, and it said so at once
            self._on_unanswered()
            return 0

    @staticmethod
    async def _ask(question: Awaitable[Answer]) -> Answer:
        """The answer. Raises TimeoutError where there is none within ANSWER_WITHIN."""
        task = asyncio.ensure_future(question)
        # In two halves: where this process was held up, the answer is there, and is read before the second ends.
        for _ in range(2):
            await asyncio.wait({task}, timeout=ANSWER_WITHIN / 2)
            if task.done():
                return task.result()
        task.cancel()
        raise TimeoutError("Redis does not answer")
