"""What one client may do: where it may come from, how often, how much. Pure but for `Admission`, which asks Redis.

The bucket of connections per address lives in Redis (`ratelimit:IP`: `tokens`, `last_refill` in unix seconds), so that
it holds over every gateway and over restarts.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any

from redis.exceptions import RedisError

from feeds.wire import RATE_LIMIT_PREFIX

BUCKET = """
local now = tonumber(redis.call('TIME')[1])
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'last_refill')
local tokens = tonumber(kept[1]) or burst
local last = tonumber(kept[2]) or now
tokens = math.min(burst, tokens + math.max(0, now - last) * rate)
local wait = 0
if tokens >= 1 then tokens = tokens - 1 else wait = math.ceil((1 - tokens) / rate) end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'last_refill', now)
redis.call('EXPIRE', KEYS[1], 3600)
return wait
"""
ANSWER_WITHIN = 0.2
"""Seconds Redis has to answer; a gateway that cannot ask lets people in, and counts it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits of a gateway; times in seconds. The names are those of the settings, without GATEWAY_."""

    allowed_origins: tuple[str, ...] = ("*",)
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
    bad_requests: int = 10
    refusals: int = 20
    refusals_within: float = 10.0


def allows_origin(origin: str | None, allowed: Sequence[str]) -> bool:
    """A missing Origin passes, for programs send none; so does everything while the list is empty or has a `*`."""
    return origin is None or not allowed or "*" in allowed or origin in allowed


def client_address(client: Sequence[Any] | None) -> str:
    """The peer's address; an IPv4 address that came over an IPv6 socket is written as IPv4."""
    if not client:
        return "unknown"
    try:
        address = ip_address(client[0])
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address)


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

    async def wait_of(self, address: str) -> int:
        """Seconds the address has to wait; 0 lets it in, as does a Redis that does not answer."""
        arguments = [self._limits.rate_per_second, self._limits.rate_burst]
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                return int(await self._script(keys=[RATE_LIMIT_PREFIX + address], args=arguments))
        except (RedisError, OSError, TimeoutError):
            self._on_unanswered()
            return 0
