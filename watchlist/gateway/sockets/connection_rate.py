"""Limits how often one address or account opens a connection.

The limit bounds the load when many clients reconnect together. Redis holds one token bucket per address or account. A
bucket is the hash `ratelimit:SUBJECT` with the fields `tokens` and `last_refill` (unix seconds). The limit therefore
covers all gateway processes and outlasts restarts. If Redis does not answer, connections are accepted, and
`on_unanswered` is called.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from redis.exceptions import RedisError

from feeds.wire import RATE_LIMIT_PREFIX
from watchlist.gateway.limits import Limits

Reply = TypeVar("Reply")

BUCKET_SCRIPT = """
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
-- Redis does not undo a script that fails. If EXPIRE is refused, no key without a TTL is left.
local exists = redis.call('EXPIRE', KEYS[1], 3600)
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'last_refill', now)
if exists == 0 then redis.call('EXPIRE', KEYS[1], 3600) end
return wait
"""

REPLY_TIMEOUT_SECONDS = 0.2
"""How long Redis may take to reply."""
MAX_PENDING = 16
"""The most calls to Redis that run at the same time. Further calls wait.

The time-out of a call begins after the wait. Without this limit, calls would time out when many clients connect at the
same time.
"""
PAUSE_SECONDS = 1.0
"""After a time-out, no call is made for this long. Otherwise each connection would wait while Redis hangs."""


class ConnectionRate:
    """Asks Redis whether an address or account may open another connection now."""

    def __init__(self, redis: Any, limits: Limits, on_unanswered: Callable[[], None]) -> None:
        """`on_unanswered` is called for each check that Redis does not answer."""
        self._script = redis.register_script(BUCKET_SCRIPT)
        self._limits = limits
        self._on_unanswered = on_unanswered
        self._turns = asyncio.Semaphore(MAX_PENDING)
        self._paused_until = 0.0

    async def seconds_to_wait(self, subject: str, *, spend: bool = True) -> int:
        """Returns the seconds until the client may connect, 0 for now.

        Returns 0 also if Redis does not reply. `subject` is the client's address or `account:ID`. If `spend` is True,
        takes a token for the connection.
        """
        arguments = [self._limits.rate_per_second, self._limits.rate_burst, int(spend)]
        loop = asyncio.get_running_loop()
        async with self._turns:
            try:
                if loop.time() >= self._paused_until:
                    return int(await self._call(self._script(keys=[RATE_LIMIT_PREFIX + subject], args=arguments)))
            except TimeoutError:
                self._paused_until = loop.time() + PAUSE_SECONDS
            except (RedisError, OSError):
                pass  # The call failed without a wait, so the next call needs no pause.
            self._on_unanswered()
            return 0

    @staticmethod
    async def _call(call: Awaitable[Reply]) -> Reply:
        """Returns the reply of Redis. Raises TimeoutError if no reply comes within REPLY_TIMEOUT_SECONDS."""
        task = asyncio.ensure_future(call)
        # Waits twice: if this process is blocked during the first wait, the second wait reads the reply.
        for _ in range(2):
            await asyncio.wait({task}, timeout=REPLY_TIMEOUT_SECONDS / 2)
            if task.done():
                return task.result()
        task.cancel()
        raise TimeoutError(f"Redis did not reply within {REPLY_TIMEOUT_SECONDS} s")
