"""Takes, renews and releases leases.

A lease is the right to do what only one program may do, for example to feed a topic.
"""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import redis

from feeds.errors import LeaseHeld
from feeds.store.connection import Script
from feeds.store.holders import Holder, parse_holder

TAKE_LEASE = Path(__file__).with_name("take_lease.lua").read_text()
RELEASE_LEASE = Path(__file__).with_name("release_lease.lua").read_text()

TTL = timedelta(seconds=3)
POLL_SECONDS = 0.1


class Lease:
    """A right that at most one program has at a time.

    The lease is the Redis key `lease:NAME`, which contains the holder's name and expires after TTL. The holder calls
    `renew` about once a second. `right` names the right in error messages, such as `generator feeds market_ticks`.
    """

    def __init__(self, client: redis.Redis, name: str, right: str, holder: Holder) -> None:
        self._holder = holder
        self._right = right
        self._key = f"lease:{name}"
        self._client = client
        self._take = Script(client, TAKE_LEASE)
        self._release = Script(client, RELEASE_LEASE)

    def acquire(self, wait: Callable[[float], object]) -> None:
        """Takes the lease. If another program holds the lease, waits until the lease expires.

        `wait` sleeps for the given seconds. Raises LeaseHeld if the other program renews the lease. Raises
        StoreUnavailable.
        """
        dead, previous_ttl = "", -1
        for _ in range(int(TTL.total_seconds() / POLL_SECONDS) + 5):
            held = self._try_take(dead)
            if held is None:
                return
            holder, ttl = held
            if self._holder.is_dead(holder):
                dead = holder
                continue
            if 0 <= previous_ttl < ttl:
                break
            previous_ttl = ttl
            wait(POLL_SECONDS)
        raise self._held_by(holder)

    def renew(self) -> None:
        """Renews the lease. If Redis has lost the lease, takes the lease again.

        Raises LeaseHeld if another program has the lease. Raises StoreUnavailable.
        """
        if (held := self._try_take("")) is not None:
            raise self._held_by(held[0])

    def release(self) -> None:
        """Deletes the lease if this holder has it. Raises StoreUnavailable."""
        self._release([self._key], [self._holder.name])

    def close(self) -> None:
        self._client.close()

    def _try_take(self, dead: str) -> tuple[str, int] | None:
        """Takes or renews the lease, even if the dead holder `dead` has it. Returns None on success.

        If another holder has the lease, returns the name of that holder and the remaining TTL in milliseconds.
        """
        held = self._take([self._key], [self._holder.name, TTL // timedelta(milliseconds=1), dead])
        return (held[0].decode(errors="replace"), held[1]) if held else None

    def _held_by(self, holder: str) -> LeaseHeld:
        host, pid, _run = parse_holder(holder)
        return LeaseHeld(f"another {self._right}: process {pid} on {host}; stop it first")
