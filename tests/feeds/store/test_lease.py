from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
import redis

from feeds.errors import LeaseHeld, StoreUnavailable
from feeds.store.connection import connect
from feeds.store.holders import Holder
from feeds.store.lease import Lease
from stockwatch.local.redis_server import RedisServer, free_port

MakeLease = Callable[..., Lease]


@pytest.fixture
def lease(redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[MakeLease]:
    leases: list[Lease] = []

    def make(host: str = "host-a", pid: int = 100, is_alive: bool = True) -> Lease:
        client = connect({"host": redis_server.host, "port": redis_server.port})
        # Each holder stands for a process, so it has a run of its own.
        holder = Holder(is_alive=lambda _pid: is_alive, host=host, pid=pid, run=uuid4().hex)
        leases.append(Lease(client, "ticks", "generator feeds ticks", holder))
        return leases[-1]

    yield make
    for each in leases:
        each.close()


def fail_to_wait(_seconds: float) -> None:
    raise AssertionError("waited")


def test_a_free_lease_is_taken_at_once_for_three_seconds(lease: MakeLease, redis_client: redis.Redis):
    lease().acquire(fail_to_wait)

    assert redis_client.get("lease:ticks").startswith(b"host-a:100:")
    assert 0 < redis_client.pttl("lease:ticks") <= 3_000


def test_a_second_generator_is_refused_as_soon_as_the_holder_renews(lease: MakeLease):
    first = lease(pid=100)
    first.acquire(fail_to_wait)
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            first.renew()

    with pytest.raises(LeaseHeld, match="another generator feeds ticks: process 100 on host-a"):
        lease(pid=200).acquire(wait)
    assert len(waits) <= 4


def test_the_lease_of_a_dead_process_on_this_host_is_taken_at_once(lease: MakeLease, redis_client: redis.Redis):
    lease(pid=100).acquire(fail_to_wait)
    lease(pid=200, is_alive=False).acquire(fail_to_wait)

    assert redis_client.get("lease:ticks").startswith(b"host-a:200:")


def test_a_lease_with_our_own_pid_is_taken_at_once(lease: MakeLease, redis_client: redis.Redis):
    lease(pid=1).acquire(fail_to_wait)
    previous = redis_client.get("lease:ticks")
    lease(pid=1, is_alive=True).acquire(fail_to_wait)

    assert redis_client.get("lease:ticks") != previous


def test_the_lease_of_another_host_is_taken_after_it_has_expired(lease: MakeLease, redis_client: redis.Redis):
    lease(host="host-b").acquire(fail_to_wait)
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            redis_client.delete("lease:ticks")

    lease(is_alive=False).acquire(wait)
    assert len(waits) == 3
    assert redis_client.get("lease:ticks").startswith(b"host-a:")


def test_a_lease_that_never_expires_is_refused(lease: MakeLease, redis_client: redis.Redis):
    redis_client.set("lease:ticks", "an unknown format")

    with pytest.raises(LeaseHeld, match="an unknown host"):
        lease().acquire(lambda _seconds: None)


def test_a_lease_that_redis_has_lost_is_taken_again(lease: MakeLease, redis_client: redis.Redis):
    ours = lease()
    ours.acquire(fail_to_wait)
    redis_client.flushall()
    ours.renew()

    assert redis_client.exists("lease:ticks")


def test_renewal_is_refused_if_another_generator_has_the_lease(lease: MakeLease, redis_client: redis.Redis):
    ours = lease()
    ours.acquire(fail_to_wait)
    redis_client.flushall()
    lease(host="host-b", pid=7).acquire(fail_to_wait)

    with pytest.raises(LeaseHeld, match="process 7 on host-b"):
        ours.renew()


def test_release_deletes_only_our_own_lease(lease: MakeLease, redis_client: redis.Redis):
    ours, other = lease(), lease(host="host-b")
    ours.acquire(fail_to_wait)
    other.release()
    assert redis_client.exists("lease:ticks")

    ours.release()
    assert not redis_client.exists("lease:ticks")


def test_without_redis_acquire_raises_a_transient_error():
    lease = Lease(connect({"host": "127.0.0.1", "port": free_port()}), "ticks", "generator feeds ticks", Holder())

    with pytest.raises(StoreUnavailable):
        lease.acquire(fail_to_wait)
