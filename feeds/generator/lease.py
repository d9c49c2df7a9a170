"""The lease of a topic: at most one generator feeds it."""

from collections.abc import Callable
from datetime import timedelta
from os import getpid, kill
from socket import gethostname
from uuid import uuid4

import redis

from feeds.errors import LeaseHeld
from feeds.store.connection import Script

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
