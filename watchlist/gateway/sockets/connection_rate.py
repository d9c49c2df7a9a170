"""Limits how often one address or account opens a connection.

Redis holds one token bucket per address or account, so that the limit covers all gateway processes. A bucket is the
hash `ratelimit:SUBJECT` with the fields `tokens` and `last_refill` (unix seconds). One call of a Redis script checks
several waiting connections. If Redis does not answer, the connections are accepted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Any, NamedTuple, TypeVar

import structlog
from redis.exceptions import RedisError

from feeds.store.keys import is_cluster
from feeds.wire import RATE_LIMIT_PREFIX
from watchlist.gateway.limits import Limits

log = structlog.get_logger(__name__)

Reply = TypeVar("Reply")

BUCKETS_SCRIPT = """
local now = tonumber(redis.call('TIME')[1])
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])

local function check(key, spend)
  local kept = redis.call('HMGET', key, 'tokens', 'last_refill')
  local tokens = tonumber(kept[1]) or burst
  local last = tonumber(kept[2]) or now
  tokens = math.min(burst, tokens + math.max(0, now - last) * rate)
  local wait = 0
  if tokens < 1 then wait = math.ceil((1 - tokens) / rate) end
  if not spend then return wait end
  if tokens >= 1 then tokens = tokens - 1 end
  -- Redis does not undo a script that fails. If EXPIRE is refused, no key without a TTL is left.
  local exists = redis.call('EXPIRE', key, 3600)
  redis.call('HSET', key, 'tokens', tostring(tokens), 'last_refill', now)
  if exists == 0 then redis.call('EXPIRE', key, 3600) end
  return wait
end

local waits = {}
for position, key in ipairs(KEYS) do
  -- A key that cannot be used must not prevent the checks of the other keys.
  local answered, wait = pcall(check, key, string.sub(ARGV[3], position, position) == '1')
  waits[position] = answered and wait or -1
end
return waits
"""
"""A Redis script. Returns the seconds to wait for each key, or -1 for a bucket that cannot be used.

The arguments are the rate, the burst, and a text with one character per key: `1` takes a token, `0` takes no token.
"""

REPLY_TIMEOUT_SECONDS = 0.2
"""How long Redis may take to reply."""
MAX_KEYS = 128
"""The most buckets that one call checks. Redis serves no other client during the call."""
CLUSTER_CALLS = 16
"""The most calls at the same time in a Redis Cluster, where each call checks one bucket."""
PAUSE_SECONDS = 1.0
"""How long Redis is not asked after a time-out. During this time, connections are accepted."""


class Check(NamedTuple):
    """A connection that waits for its check.

    `subject` is the client's address, or a text such as `account:7`. `spend` says whether the check takes a token.
    `done` is called with the number of seconds that the client must wait.
    """

    subject: str
    spend: bool
    done: Callable[[int], None]


class ConnectionRate:
    """Asks Redis whether addresses or accounts may open another connection now."""

    def __init__(self, redis: Any, limits: Limits, on_unanswered: Callable[[], None]) -> None:
        """`on_unanswered` is called for each check that Redis does not answer."""
        # In a cluster, the buckets of one call would be on different nodes.
        self._max_keys, self._max_calls = (1, CLUSTER_CALLS) if is_cluster(redis) else (MAX_KEYS, 1)
        self._script = redis.register_script(BUCKETS_SCRIPT)
        self._limits = limits
        self._on_unanswered = on_unanswered
        self._waiting: list[Check] = []
        self._task: asyncio.Task[None] | None = None
        self._paused_until = 0.0

    async def seconds_to_wait(self, subject: str, *, spend: bool = True) -> int:
        """Returns how many seconds the client must wait before it may connect.

        Returns 0 if Redis does not reply. `subject` is the client's address, or a text such as `account:7`. `spend`
        says whether to take a token for the connection.
        """
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.ask(subject, lambda wait: None if answer.done() else answer.set_result(wait), spend=spend)
        return await answer

    def ask(self, subject: str, done: Callable[[int], None], *, spend: bool = True) -> None:
        """Calls `done` later with the result of `seconds_to_wait`."""
        self._waiting.append(Check(subject, spend, done))
        if self._task is None:
            # With an empty context, log lines of the task do not have the id of this connection. The task also serves
            # other connections.
            self._task = asyncio.get_running_loop().create_task(self._answer_all(), context=Context())

    async def _answer_all(self) -> None:
        try:
            while self._waiting:
                count = self._max_keys * self._max_calls
                checks, self._waiting = self._waiting[:count], self._waiting[count:]
                parts = [checks[at : at + self._max_keys] for at in range(0, len(checks), self._max_keys)]
                await asyncio.gather(*map(self._answer_part, parts))
        finally:
            self._task = None

    async def _answer_part(self, checks: Sequence[Check]) -> None:
        """Answers these checks with one call of the script."""
        waits = [-1] * len(checks)
        try:
            waits = await self._ask_redis(checks)
        except Exception:  # Each connection must get an answer.
            log.exception("connection rate unknown")
        for check, wait in zip(checks, waits, strict=True):
            self._answer(check, wait)

    def _answer(self, check: Check, wait: int) -> None:
        if wait < 0:
            self._on_unanswered()
        try:
            check.done(max(0, wait))
        except Exception:  # The other connections must get their answers.
            log.exception("connection check failed")

    async def _ask_redis(self, checks: Sequence[Check]) -> list[int]:
        """Returns the seconds to wait for each check, or -1 if Redis does not answer the check."""
        loop = asyncio.get_running_loop()
        try:
            if loop.time() >= self._paused_until:
                waits = [int(wait) for wait in await self._call(self._run_script(checks))]
                if len(waits) == len(checks):
                    return waits
        except TimeoutError:
            self._paused_until = loop.time() + PAUSE_SECONDS
        except (RedisError, OSError):
            pass  # The call failed without a wait, so the next call needs no pause.
        return [-1] * len(checks)

    def _run_script(self, checks: Sequence[Check]) -> Awaitable[list[int]]:
        spends = "".join("1" if check.spend else "0" for check in checks)
        arguments = [self._limits.rate_per_second, self._limits.rate_burst, spends]
        script: Awaitable[list[int]] = self._script(
            keys=[RATE_LIMIT_PREFIX + check.subject for check in checks], args=arguments
        )
        return script

    @staticmethod
    async def _call(call: Awaitable[Reply]) -> Reply:
        """Returns the reply of Redis to `call`. Raises TimeoutError after REPLY_TIMEOUT_SECONDS."""
        task = asyncio.ensure_future(call)
        # Waits twice: if this process is blocked during the first wait, the second wait reads the reply.
        for _ in range(2):
            await asyncio.wait({task}, timeout=REPLY_TIMEOUT_SECONDS / 2)
            if task.done():
                return task.result()
        task.cancel()
        raise TimeoutError(f"Redis did not reply within {REPLY_TIMEOUT_SECONDS} s")
