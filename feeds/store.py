"""The only writer to Redis on this side: prices in one atomic step, and the generator's lease.

It knows no Kafka and decides nothing: what is newer is compared in Redis itself, so that no two writers can disagree.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha1
from os import getpid, kill
from socket import gethostname
from typing import Any
from uuid import uuid4

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from feeds.errors import LeaseHeld, StoreUnavailable
from feeds.processor import Batch
from feeds.wire import CHANNEL_PREFIX, STOCK_PREFIX, stock_key

log = structlog.get_logger(__name__)

WRITE = f"""
-- KEYS: one a symbol. ARGV: TTL in ms; then for each key how many updates, time and number of the first and of the
-- last, and the updates themselves, each newer than the one before. Returns how many were published.
local function order(text)
  local time, seq =
    string.match(text, '^{{"symbol":"[^"]*","price":[%d.eE+-]+,"timestamp":(%d+),"seq_id":(%d+)}}$')
  if not time then
    -- Written by another program: other spaces, another order of keys, or no update at all, which anything replaces.
    local fine, value = pcall(cjson.decode, text)
    if not fine or type(value) ~= 'table' then return -1, -1 end
    time, seq = value.timestamp, value.seq_id
    if type(time) ~= 'number' or type(seq) ~= 'number' then return -1, -1 end
  end
  return tonumber(time), tonumber(seq)
end

local function newer(time, seq, than_time, than_seq)
  return time > than_time or (time == than_time and seq > than_seq)
end

local function passed(text, than_time, than_seq)
  local time, seq = order(text)
  return newer(time, seq, than_time, than_seq)
end

local published, at = 0, 2
for i = 1, #KEYS do
  local count = tonumber(ARGV[at])
  local first, last = at + 5, at + 4 + count
  local stored = redis.pcall('GET', KEYS[i])
  if type(stored) == 'string' then
    local time, seq = order(stored)
    if not newer(tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), time, seq) then
      if newer(tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), time, seq) then
        while first < last and not passed(ARGV[first], time, seq) do first = first + 1 end
      else
        first = last + 1
      end
    end
  end
  if first <= last then
    redis.call('SET', KEYS[i], ARGV[last], 'PX', ARGV[1])
    local channel = '{CHANNEL_PREFIX}' .. string.sub(KEYS[i], {len(STOCK_PREFIX) + 1})
    for j = first, last do redis.call('PUBLISH', channel, ARGV[j]) end
    published = published + last - first + 1
  end
  at = last + 1
end
return published
"""

TAKE = """
-- KEYS[1]: the lease. ARGV: our name, TTL in ms, the name of a holder known to be dead. Takes or renews the lease and
-- returns nothing; where somebody else has it, returns his name and how many ms it lasts.
local holder = redis.call('GET', KEYS[1])
if not holder or holder == ARGV[1] or holder == ARGV[3] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return {}
end
return {holder, redis.call('PTTL', KEYS[1])}
"""

RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


def connect(address: Mapping[str, Any]) -> redis.Redis:
    """A client of the Redis at `host`, `port`, `password` and `db`; it connects at the first command."""
    return redis.Redis(
        **address,
        protocol=2,
        socket_timeout=2.0,
        socket_connect_timeout=1.0,
        socket_keepalive=True,
        # One try more, at once: a connection that died while idle is no outage. Every call here may be repeated.
        retry=Retry(NoBackoff(), 1),
    )


@contextmanager
def answering() -> Iterator[None]:
    """Turns the client's errors into StoreUnavailable."""
    try:
        yield
    except redis.RedisError as error:
        raise StoreUnavailable(f"{type(error).__name__}: {str(error)[:200]}") from error


class Script:
    """A script that costs one round trip; where the server does not know it (any more), a second one brings it."""

    def __init__(self, client: redis.Redis, text: str) -> None:
        self._client = client
        self._text = text
        self._digest = sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: list[str], arguments: list[Any]) -> Any:
        """Raises StoreUnavailable."""
        with answering():
            try:
                return self._client.evalsha(self._digest, len(keys), *keys, *arguments)
            except redis.exceptions.NoScriptError:
                return self._client.eval(self._text, len(keys), *keys, *arguments)


class Store:
    """Writes prices through one connection; each thread has a store of its own."""

    def __init__(self, client: redis.Redis, ttl: timedelta) -> None:
        self._client = client
        self._ttl = ttl // timedelta(milliseconds=1)
        self._write = Script(client, WRITE)

    def write(self, batch: Batch) -> int:
        """Stores and publishes what is newer than what is stored, in one step; returns how many updates that were.

        The rest of the batch is stale. Raises StoreUnavailable; the same batch may be written again.
        """
        keys: list[str] = []
        arguments: list[Any] = [self._ttl]
        for symbol, series in batch.series.items():
            first, last, values = series.first, series.last, series.values
            keys.append(stock_key(symbol))
            arguments += (len(values), first.timestamp, first.seq_id, last.timestamp, last.seq_id)
            arguments += values
        return int(self._write(keys, arguments))

    def close(self) -> None:
        self._client.close()


def is_alive(pid: int) -> bool:
    """Whether a process of this machine has this id."""
    try:
        kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it is there, and somebody else's
    return True


class Lease:
    """The right to feed a topic: one generator has it, and renews it about every second.

    It is a Redis key that runs out by itself: `host:pid:token`.
    """

    TTL = timedelta(seconds=3)

    def __init__(
        self, client: redis.Redis, topic: str, alive: Callable[[int], bool] = is_alive, host: str = "", pid: int = 0
    ) -> None:
        self._host = host or gethostname()
        self._pid = pid or getpid()
        self._name = f"{self._host}:{self._pid}:{uuid4().hex}"
        self._topic = topic
        self._key = f"lease:{topic}"
        self._alive = alive
        self._client = client
        self._take = Script(client, TAKE)
        self._release = Script(client, RELEASE)

    def acquire(self, wait: Callable[[float], object]) -> None:
        """Takes the lease, at once from a dead process of this host, else after it ran out; `wait` sleeps.

        Raises LeaseHeld as soon as its holder is seen to renew it, and StoreUnavailable.
        """
        dead, before = "", -1
        for _ in range(int(self.TTL.total_seconds() / 0.1) + 5):
            held = self._ask(dead)
            if held is None:
                return
            holder, left = held
            if self._is_dead(holder):
                dead = holder
                continue
            if before >= 0 and left > before:
                break
            before = left
            wait(0.1)
        raise self._refusal(holder)

    def renew(self) -> None:
        """Keeps the lease, or takes it back after Redis forgot it. Raises LeaseHeld when another has it by now."""
        if (held := self._ask("")) is not None:
            raise self._refusal(held[0])

    def release(self) -> None:
        """Gives the lease up, if it is still ours. Raises StoreUnavailable."""
        self._release([self._key], [self._name])

    def close(self) -> None:
        self._client.close()

    def _ask(self, dead: str) -> tuple[str, int] | None:
        held = self._take([self._key], [self._name, self.TTL // timedelta(milliseconds=1), dead])
        return (held[0].decode(errors="replace"), held[1]) if held else None

    def _is_dead(self, holder: str) -> bool:
        """A process of this host that is gone, or had our own id: then it was the one before us in this container."""
        host, pid = self._whose(holder)
        return host == self._host and (pid == self._pid or not self._alive(pid))

    def _whose(self, holder: str) -> tuple[str, int]:
        host, _, rest = holder.partition(":")
        pid = rest.partition(":")[0]
        return (host, int(pid)) if pid.isdecimal() and int(pid) > 0 else ("an unknown host", 0)

    def _refusal(self, holder: str) -> LeaseHeld:
        host, pid = self._whose(holder)
        return LeaseHeld(f"another generator feeds {self._topic}: process {pid} on {host}; stop it first")
