"""Limits how often one address or account opens a connection: a token bucket in Redis, shared by all gateways."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from redis.exceptions import RedisError

from feeds.wire import RATE_LIMIT_PREFIX
from watchlist.gateway.limits import Limits

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


class ConnectionRate:
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
