"""Takes, renews and releases a lease: the right to feed a topic."""

from collections.abc import Callable
from datetime import timedelta
from os import getpid, kill
from pathlib import Path
from socket import gethostname
from uuid import uuid4

import redis

from feeds.errors import LeaseHeld
from feeds.store.connection import Script

TAKE_LEASE = Path(__file__).with_name("take_lease.lua").read_text()
RELEASE_LEASE = Path(__file__).with_name("release_lease.lua").read_text()

TTL = timedelta(seconds=3)
POLL_SECONDS = 0.1


def is_alive(pid: int) -> bool:
    """Returns whether a process with this id runs on this machine."""
    try:
        kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # the process runs and belongs to another user
    return True


class Lease:
    """The right to feed a topic. The holder renews the lease about once a second.

    The lease is a Redis key with a TTL. The value of the key is the holder's name, `host:pid:token`.
    """

    def __init__(
        self,
        client: redis.Redis,
        topic: str,
        is_alive: Callable[[int], bool] = is_alive,
        host: str = "",
        pid: int = 0,
    ) -> None:
        self._host = host or gethostname()
        self._pid = pid or getpid()
        self._name = f"{self._host}:{self._pid}:{uuid4().hex}"
        self._topic = topic
        self._key = f"lease:{topic}"
        self._is_alive = is_alive
        self._client = client
        self._take = Script(client, TAKE_LEASE)
        self._release = Script(client, RELEASE_LEASE)

    def acquire(self, wait: Callable[[float], object]) -> None:
        """Takes the lease. Raises LeaseHeld as soon as another generator renews the lease.

        If the holder was a process of this host and has ended, takes the lease immediately. Otherwise waits until the
        lease expires. `wait` sleeps for the given seconds. Raises StoreUnavailable if Redis does not answer.
        """
        dead, previous_ttl = "", -1
        for _ in range(int(TTL.total_seconds() / POLL_SECONDS) + 5):
            held = self._try_take(dead)
            if held is None:
                return
            holder, ttl = held
            if self._is_dead(holder):
                dead = holder
                continue
            if 0 <= previous_ttl < ttl:
                break
            previous_ttl = ttl
            wait(POLL_SECONDS)
        raise self._held_by(holder)

    def renew(self) -> None:
        """Renews the lease. If Redis has lost the lease, takes the lease again.

        Raises LeaseHeld if another generator has the lease, and StoreUnavailable if Redis does not answer.
        """
        if (held := self._try_take("")) is not None:
            raise self._held_by(held[0])

    def release(self) -> None:
        """Deletes the lease if this generator still holds the lease.

        Raises StoreUnavailable if Redis does not answer.
        """
        self._release([self._key], [self._name])

    def close(self) -> None:
        self._client.close()

    def _try_take(self, dead: str) -> tuple[str, int] | None:
        """Tries to take the lease. Returns None on success.

        Otherwise returns the current holder and the remaining TTL in ms. `dead` is the name of a holder that has ended.
        If this holder still has the lease, takes the lease from this holder.
        """
        held = self._take([self._key], [self._name, TTL // timedelta(milliseconds=1), dead])
        return (held[0].decode(errors="replace"), held[1]) if held else None

    def _is_dead(self, holder: str) -> bool:
        """Returns whether the holder was a process of this host and has ended.

        A holder with our own pid has ended: that process ran in this container before us.
        """
        host, pid = _parse_holder(holder)
        return host == self._host and (pid == self._pid or not self._is_alive(pid))

    def _held_by(self, holder: str) -> LeaseHeld:
        host, pid = _parse_holder(holder)
        return LeaseHeld(f"another generator feeds {self._topic}: process {pid} on {host}; stop it first")


def _parse_holder(holder: str) -> tuple[str, int]:
    host, _, rest = holder.partition(":")
    pid = rest.partition(":")[0]
    return (host, int(pid)) if pid.isdecimal() and int(pid) > 0 else ("an unknown host", 0)
