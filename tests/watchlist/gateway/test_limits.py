import asyncio

import pytest
from redis.asyncio import Redis

from stockwatch.embedded import free_port
from watchlist.gateway.limits import Admission, Allowance, Limits, allows_origin, client_address


@pytest.mark.parametrize(
    ("origin", "allowed", "passes"),
    [
        (None, ["https://a.example"], True),
        ("https://a.example", ["https://a.example"], True),
        ("https://a.example", ["*"], True),
        ("https://a.example", [], True),
        ("https://a.example.evil.test", ["https://a.example"], False),
        ("http://a.example", ["https://a.example"], False),
        ("https://a.example:444", ["https://a.example"], False),
        ("null", ["https://a.example"], False),
        ("", ["https://a.example"], False),
    ],
)
def test_an_origin_must_be_named_exactly(origin, allowed, passes):
    assert allows_origin(origin, allowed) is passes


@pytest.mark.parametrize(
    ("client", "address"),
    [
        (["127.0.0.1", 5], "127.0.0.1"),
        (("::ffff:10.0.0.1", 5), "10.0.0.1"),
        (["2001:db8::1", 5], "2001:db8::1"),
        (["not an address", 5], "unknown"),
        (None, "unknown"),
    ],
)
def test_an_address_is_the_peers_own(client, address):
    assert client_address(client) == address


def test_an_allowance_is_spent_and_fills_with_time():
    allowance = Allowance(rate=5, burst=2, now=0)
    assert [allowance.spend(0), allowance.spend(0), allowance.spend(0)] == [True, True, False]
    assert allowance.wait() == pytest.approx(0.2)
    assert allowance.spend(0.2)
    assert not allowance.spend(0.3)
    assert [allowance.spend(100), allowance.spend(100), allowance.spend(100)] == [True, True, False]


async def ask(server, times, limits, unanswered=None):
    redis = Redis(host=server.host, port=server.port, protocol=2)
    admission = Admission(redis, limits, (unanswered or []).append)
    waits = [await admission.wait_of("10.1.2.3") for _ in range(times)]
    await redis.aclose()
    return waits


async def test_an_address_opens_a_burst_of_connections_and_then_waits(redis_server, redis_client):
    waits = await ask(redis_server, 5, Limits(rate_per_second=0.01, rate_burst=3))
    assert waits[:3] == [0, 0, 0]
    assert waits[3] in (99, 100)
    bucket = redis_client.hgetall("ratelimit:10.1.2.3")
    assert float(bucket[b"tokens"]) < 1
    assert int(bucket[b"last_refill"]) == pytest.approx(redis_client.time()[0], abs=5)
    assert 3500 < redis_client.ttl("ratelimit:10.1.2.3") <= 3600


async def test_a_bucket_that_another_program_left_is_filled_by_the_time_since(redis_server, redis_client):
    now = redis_client.time()[0]
    redis_client.hset("ratelimit:10.1.2.3", mapping={"tokens": "0.5", "last_refill": now - 2})
    assert (await ask(redis_server, 3, Limits(rate_per_second=1, rate_burst=5)))[:2] == [0, 0]


async def test_a_redis_that_does_not_answer_lets_people_in_and_is_counted():
    redis = Redis(host="127.0.0.1", port=free_port(), protocol=2)
    unanswered = []
    admission = Admission(redis, Limits(), lambda: unanswered.append(1))
    assert await admission.wait_of("10.1.2.3") == 0
    assert unanswered == [1]
    await redis.aclose()


async def test_a_redis_that_hangs_is_not_waited_for():
    async def hang(reader, writer):
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    redis = Redis(host="127.0.0.1", port=port, protocol=2)
    unanswered = []
    assert await Admission(redis, Limits(), lambda: unanswered.append(1)).wait_of("10.1.2.3") == 0
    assert unanswered == [1]
    await redis.aclose()
    server.close()
    await server.wait_closed()
