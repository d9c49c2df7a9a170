from collections.abc import Callable, Iterator
from os import getpid
from subprocess import Popen

import pytest
import redis

from feeds.errors import LeaseHeld, StoreUnavailable
from feeds.generator.lease import Lease, is_alive
from feeds.store.connection import connect
from stockwatch.local.redis_server import RedisServer, free_port

Make = Callable[..., Lease]


@pytest.fixture
def lease(redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[Make]:
    made: list[Lease] = []

    def make(host: str = "here", pid: int = 100, alive: bool = True) -> Lease:
        client = connect({"host": redis_server.host, "port": redis_server.port})
        made.append(Lease(client, "ticks", alive=lambda _pid: alive, host=host, pid=pid))
        return made[-1]

    yield make
    for each in made:
        each.close()


def never(_seconds: float) -> None:
    raise AssertionError("waited")


def test_a_free_lease_is_taken_at_once_for_three_seconds(lease: Make, redis_client: redis.Redis):
    lease().acquire(never)

    assert redis_client.get("lease:ticks").startswith(b"here:100:")
    assert 0 < redis_client.pttl("lease:ticks") <= 3_000


def test_a_second_generator_is_told_who_feeds_as_soon_as_that_one_renews(lease: Make):
    first = lease(pid=100)
    first.acquire(never)
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            first.renew()

    with pytest.raises(LeaseHeld, match="process 100 on here"):
        lease(pid=200).acquire(wait)
    assert len(waits) <= 4


def test_the_lease_of_a_dead_process_of_this_host_is_taken_over_at_once(lease: Make, redis_client: redis.Redis):
    lease(pid=100).acquire(never)
    lease(pid=200, alive=False).acquire(never)

    assert redis_client.get("lease:ticks").startswith(b"here:200:")


def test_the_lease_of_our_own_id_is_that_of_the_process_before_us(lease: Make):
    lease(pid=1).acquire(never)
    lease(pid=1, alive=True).acquire(never)


def test_a_process_of_another_host_is_waited_for_until_its_lease_runs_out(lease: Make, redis_client: redis.Redis):
    lease(host="there").acquire(never)
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            redis_client.delete("lease:ticks")

    lease(alive=False).acquire(wait)
    assert len(waits) == 3
    assert redis_client.get("lease:ticks").startswith(b"here:")


def test_a_lease_that_never_runs_out_is_held(lease: Make, redis_client: redis.Redis):
    redis_client.set("lease:ticks", "not one of ours")

    with pytest.raises(LeaseHeld, match="an unknown host"):
        lease().acquire(lambda _seconds: None)


def test_a_lease_that_redis_forgot_is_taken_back(lease: Make, redis_client: redis.Redis):
    ours = lease()
    ours.acquire(never)
    redis_client.flushall()
    ours.renew()

    assert redis_client.exists("lease:ticks")


def test_one_who_lost_the_lease_to_another_is_told(lease: Make, redis_client: redis.Redis):
    ours = lease()
    ours.acquire(never)
    redis_client.flushall()
    lease(host="there", pid=7).acquire(never)

    with pytest.raises(LeaseHeld, match="process 7 on there"):
        ours.renew()


def test_release_gives_up_our_lease_and_nobody_elses(lease: Make, redis_client: redis.Redis):
    ours, theirs = lease(), lease(host="there")
    ours.acquire(never)
    theirs.release()
    assert redis_client.exists("lease:ticks")

    ours.release()
    assert not redis_client.exists("lease:ticks")


def test_without_redis_a_lease_is_a_trouble_that_passes():
    lease = Lease(connect({"host": "127.0.0.1", "port": free_port()}), "ticks")

    with pytest.raises(StoreUnavailable):
        lease.acquire(never)


def test_a_process_is_alive_until_it_was_waited_for():
    process = Popen(["true"])
    process.wait()

    assert is_alive(getpid())
    assert is_alive(1)
    assert not is_alive(process.pid)
