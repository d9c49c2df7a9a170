import asyncio
import threading
from types import SimpleNamespace

import pytest
from redis.asyncio import Redis

from feeds.store.connection import connect_async
from stockwatch.local.redis_server import free_port
from tests.support.servers.redis_cluster import RedisCluster
from watchlist.gateway.limits import Limits
from watchlist.gateway.sockets import connection_rate
from watchlist.gateway.sockets.connection_rate import MAX_KEYS, ConnectionRate


@pytest.fixture
def generous_timeout(monkeypatch):
    """Gives Redis enough time on a busy machine."""
    monkeypatch.setattr(connection_rate, "REPLY_TIMEOUT_SECONDS", 10.0)


async def connect_often(server, times, limits):
    redis = Redis(host=server.host, port=server.port, protocol=2)
    rate = ConnectionRate(redis, limits, lambda: None)
    waits = [await rate.seconds_to_wait("10.1.2.3") for _ in range(times)]
    await redis.aclose()
    return waits


async def test_an_address_opens_a_burst_of_connections_and_then_waits(redis_server, redis_client, generous_timeout):
    waits = await connect_often(redis_server, 5, Limits(rate_per_second=0.01, rate_burst=3))
    assert waits[:3] == [0, 0, 0]
    assert 50 <= waits[3] <= 100
    bucket = redis_client.hgetall("ratelimit:10.1.2.3")
    assert float(bucket[b"tokens"]) < 1
    assert int(bucket[b"last_refill"]) == pytest.approx(redis_client.time()[0], abs=60)
    assert 3500 < redis_client.ttl("ratelimit:10.1.2.3") <= 3600


async def test_a_check_without_spending_takes_no_token(redis_server, redis_client, generous_timeout):
    redis = Redis(host=redis_server.host, port=redis_server.port, protocol=2)
    rate = ConnectionRate(redis, Limits(rate_per_second=0.01, rate_burst=1), lambda: None)
    assert [await rate.seconds_to_wait("10.1.2.3", spend=False) for _ in range(3)] == [0, 0, 0]
    assert await rate.seconds_to_wait("10.1.2.3") == 0
    assert await rate.seconds_to_wait("10.1.2.3", spend=False) > 0
    await redis.aclose()


async def test_a_stored_bucket_is_refilled_by_the_time_since_its_last_refill(
    redis_server, redis_client, generous_timeout
):
    now = redis_client.time()[0]
    redis_client.hset("ratelimit:10.1.2.3", mapping={"tokens": "0.5", "last_refill": now - 2})
    assert (await connect_often(redis_server, 3, Limits(rate_per_second=1, rate_burst=5)))[:2] == [0, 0]


async def test_if_redis_does_not_answer_connections_are_accepted_and_counted():
    redis = Redis(host="127.0.0.1", port=free_port(), protocol=2)
    unanswered = []
    rate = ConnectionRate(redis, Limits(), lambda: unanswered.append(1))
    assert await rate.seconds_to_wait("10.1.2.3") == 0
    assert unanswered == [1]
    await redis.aclose()


async def test_a_redis_that_hangs_delays_no_queue_of_connections():
    calls = []

    async def hang(reader, writer):
        calls.append(await reader.read(1))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    redis = Redis(host="127.0.0.1", port=port, protocol=2)
    unanswered = []
    rate = ConnectionRate(redis, Limits(), lambda: unanswered.append(1))
    assert await asyncio.gather(*(rate.seconds_to_wait("10.1.2.3") for _ in range(100))) == [0] * 100
    assert len(unanswered) == 100
    assert len(calls) == 1
    await redis.aclose()
    server.close()
    await server.wait_closed()


async def test_two_hundred_simultaneous_connections_from_one_address_get_the_burst_only(
    redis_server, redis_client, generous_timeout
):
    redis = Redis(host=redis_server.host, port=redis_server.port, protocol=2)
    unanswered = []
    rate = ConnectionRate(redis, Limits(rate_per_second=0.01), lambda: unanswered.append(1))
    waits = await asyncio.gather(*(rate.seconds_to_wait("10.1.2.3") for _ in range(200)))
    assert (waits.count(0), unanswered) == (5, [])
    await redis.aclose()


async def test_two_hundred_addresses_and_accounts_connect_at_the_same_time(
    redis_server, redis_client, generous_timeout
):
    redis = Redis(host=redis_server.host, port=redis_server.port, protocol=2)
    unanswered = []
    rate = ConnectionRate(redis, Limits(rate_per_second=0.01, rate_burst=1), lambda: unanswered.append(1))
    subjects = [f"203.0.113.{number}" for number in range(200)] + [f"account:{number}" for number in range(200)]
    assert await asyncio.gather(*(rate.seconds_to_wait(subject) for subject in subjects)) == [0] * 400
    assert all(await asyncio.gather(*(rate.seconds_to_wait(subject) for subject in subjects)))
    assert unanswered == []
    await redis.aclose()


async def test_a_reply_that_arrived_while_the_process_was_blocked_counts(redis_server, redis_client, monkeypatch):
    monkeypatch.setattr(connection_rate, "REPLY_TIMEOUT_SECONDS", 1.0)
    redis = Redis(host=redis_server.host, port=redis_server.port, protocol=2)
    unanswered = []
    rate = ConnectionRate(redis, Limits(rate_per_second=0.01, rate_burst=1), lambda: unanswered.append(1))
    await rate.seconds_to_wait("10.1.2.3")
    waiting = asyncio.ensure_future(rate.seconds_to_wait("10.1.2.3"))
    blocked = asyncio.Event()

    def block():
        threading.Event().wait(1.0)
        for _ in range(2):  # Redis answers in order, so the reply has arrived even if Redis is slow
            redis_client.ping()
        blocked.set()

    asyncio.get_running_loop().call_later(0.0005, block)
    await blocked.wait()
    assert await waiting > 0
    assert unanswered == []
    await redis.aclose()


async def test_a_refused_expiry_leaves_no_bucket_without_a_ttl(redis_server, redis_client, generous_timeout):
    redis_client.acl_setuser("narrow", enabled=True, passwords=["+p"], keys=["*"], commands=["+@all", "-expire"])
    redis = Redis(host=redis_server.host, port=redis_server.port, protocol=2, username="narrow", password="p")
    unanswered = []
    try:
        rate = ConnectionRate(redis, Limits(), lambda: unanswered.append(1))
        assert await rate.seconds_to_wait("10.1.2.3") == 0
        assert (unanswered, redis_client.exists("ratelimit:10.1.2.3")) == ([1], 0)
    finally:
        await redis.aclose()
        redis_client.acl_deluser("narrow")


async def test_connections_that_wait_together_share_one_call(redis_server, redis_client, generous_timeout):
    redis = Redis(host=redis_server.host, port=redis_server.port, protocol=2)
    rate = ConnectionRate(redis, Limits(rate_per_second=0.01, rate_burst=1), lambda: None)
    await rate.seconds_to_wait("first")  # loads the script
    redis_client.config_resetstat()
    count = 2 * MAX_KEYS + 1
    assert await asyncio.gather(*(rate.seconds_to_wait(f"subject {number}") for number in range(count))) == [0] * count
    assert redis_client.info("commandstats")["cmdstat_evalsha"]["calls"] == 3
    await redis.aclose()


async def test_on_a_cluster_connections_that_wait_together_are_all_checked(
    redis_cluster: RedisCluster, generous_timeout
):
    redis = connect_async(redis_cluster.address)
    unanswered = []
    rate = ConnectionRate(redis, Limits(rate_per_second=0.01, rate_burst=1), lambda: unanswered.append(1))
    subjects = [f"203.0.113.{number}" for number in range(60)]
    assert await asyncio.gather(*(rate.seconds_to_wait(subject) for subject in subjects)) == [0] * 60
    assert all(await asyncio.gather(*(rate.seconds_to_wait(subject) for subject in subjects)))
    assert unanswered == []
    await redis.aclose()


def count_clients(cluster: RedisCluster) -> int:
    return sum(
        int(dict(line.split(":") for line in node.run("INFO clients").decode().split()[2:])["connected_clients"])
        for node in cluster.running
    )


async def test_on_a_cluster_several_checks_wait_for_redis_at_once(redis_cluster: RedisCluster, generous_timeout):
    redis, before = connect_async(redis_cluster.address), count_clients(redis_cluster)
    rate = ConnectionRate(redis, Limits(rate_per_second=0.01, rate_burst=1), lambda: None)
    await asyncio.gather(*(rate.seconds_to_wait(f"10.1.3.{number}") for number in range(64)))
    # Checks one at a time would need one connection to each master.
    assert count_clients(redis_cluster) - before > len(redis_cluster.masters)
    await redis.aclose()


async def test_one_call_takes_tokens_for_some_connections_only(redis_server, redis_client, generous_timeout):
    redis = Redis(host=redis_server.host, port=redis_server.port, protocol=2)
    rate = ConnectionRate(redis, Limits(rate_per_second=0.01, rate_burst=1), lambda: None)
    waits = await asyncio.gather(
        rate.seconds_to_wait("10.1.2.3", spend=False),
        rate.seconds_to_wait("10.1.2.3"),
        rate.seconds_to_wait("10.1.2.3", spend=False),
        rate.seconds_to_wait("10.1.2.4"),
    )
    assert (waits[0], waits[1], waits[2] > 0, waits[3]) == (0, 0, True, 0)
    await redis.aclose()


async def test_a_bucket_that_cannot_be_used_affects_no_other_connection(redis_server, redis_client, generous_timeout):
    redis_client.set("ratelimit:10.1.2.4", "no hash")
    redis = Redis(host=redis_server.host, port=redis_server.port, protocol=2)
    unanswered = []
    rate = ConnectionRate(redis, Limits(rate_per_second=0.01, rate_burst=1), lambda: unanswered.append(1))
    await rate.seconds_to_wait("10.1.2.3")
    waits = await asyncio.gather(*(rate.seconds_to_wait(f"10.1.2.{number}") for number in (3, 4, 5)))
    assert (waits[0] > 0, waits[1:], unanswered) == (True, [0, 0], [1])
    await redis.aclose()


async def test_a_connection_that_gives_up_or_fails_takes_no_answer_from_others(
    redis_server, redis_client, generous_timeout
):
    def fail(_wait):
        raise ValueError("test")

    redis = Redis(host=redis_server.host, port=redis_server.port, protocol=2)
    rate = ConnectionRate(redis, Limits(), lambda: None)
    gone = asyncio.ensure_future(rate.seconds_to_wait("10.1.2.3"))
    await asyncio.sleep(0)
    gone.cancel()
    rate.ask("10.1.2.3", fail)
    assert await rate.seconds_to_wait("10.1.2.4") == 0
    await redis.aclose()


@pytest.mark.parametrize("reply", [["no number"], [], [0, 0], None])
async def test_a_reply_that_no_redis_sends_accepts_the_connection_and_is_counted(reply):
    async def run_script(keys, args):
        return reply

    unanswered = []
    redis = SimpleNamespace(register_script=lambda _script: run_script)
    rate = ConnectionRate(redis, Limits(), lambda: unanswered.append(1))
    assert [await rate.seconds_to_wait("10.1.2.3") for _ in range(2)] == [0, 0]
    assert unanswered == [1, 1]
