import asyncio
import threading

import pytest
from redis.asyncio import Redis

from stockwatch.local.redis_server import free_port
from watchlist.accounts.client_address import client_address
from watchlist.gateway.limits import Limits
from watchlist.gateway.sockets import connection_rate
from watchlist.gateway.sockets.connection_rate import AT_ONCE, ConnectionRate
from watchlist.gateway.sockets.origins import allows_origin, is_own_origin
from watchlist.gateway.sockets.token_bucket import TokenBucket


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
        (["2001:db8::1", 5], "2001:db8::/64"),
        (["not an address", 5], "unknown"),
        (None, "unknown"),
    ],
)
def test_an_address_is_the_peers_own(client, address):
    assert client_address(client) == address


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "invented", "unknown"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),
        ("10.0.0.1", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
    ],
)
def test_behind_trusted_proxies_the_last_untrusted_address_counts(peer, forwarded, address):
    assert client_address([peer, 5], forwarded, ["10.0.0.0/8"]) == address


def test_a_forwarded_address_is_ignored_while_no_proxy_is_trusted():
    assert client_address(["10.0.0.1", 5], "203.0.113.9") == "10.0.0.1"


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        ("https://prices.example", True),
        ("https://named.example", True),
        ("https://evil.example", False),
        ("https://prices.example.evil.test", False),
        ("null", False),
        (None, False),
    ],
)
def test_only_our_pages_and_named_origins_are_told_what_is_private(origin, own):
    assert is_own_origin(origin, "prices.example", ["*", "https://named.example"]) is own


def test_an_allowance_is_spent_and_fills_with_time():
    allowance = TokenBucket(rate=5, burst=2, now=0)
    assert [allowance.spend(0), allowance.spend(0), allowance.spend(0)] == [True, True, False]
    assert allowance.wait() == pytest.approx(0.2)
    assert allowance.spend(0.2)
    assert not allowance.spend(0.3)
    assert [allowance.spend(100), allowance.spend(100), allowance.spend(100)] == [True, True, False]


@pytest.fixture
def patient(monkeypatch):
    """How soon Redis answers on a busy machine is none of these tests' business."""
    monkeypatch.setattr(connection_rate, "ANSWER_WITHIN", 10.0)


async def ask(server, times, limits, unanswered=None):
    redis = Redis(host=server.host, port=server.port, protocol=2)
    admission = ConnectionRate(redis, limits, (unanswered or []).append)
    waits = [await admission.wait_of("10.1.2.3") for _ in range(times)]
    await redis.aclose()
    return waits


async def test_an_address_opens_a_burst_of_connections_and_then_waits(redis_server, redis_client, patient):
    waits = await ask(redis_server, 5, Limits(rate_per_second=0.01, rate_burst=3))
    assert waits[:3] == [0, 0, 0]
    assert 50 <= waits[3] <= 100
    bucket = redis_client.hgetall("ratelimit:10.1.2.3")
    assert float(bucket[b"tokens"]) < 1
    assert int(bucket[b"last_refill"]) == pytest.approx(redis_client.time()[0], abs=60)
    assert 3500 < redis_client.ttl("ratelimit:10.1.2.3") <= 3600


async def test_asking_costs_nothing(redis_server, redis_client, patient):
    redis = Redis(host=redis_server.host, port=redis_server.port, protocol=2)
    admission = ConnectionRate(redis, Limits(rate_per_second=0.01, rate_burst=1), lambda: None)
    assert [await admission.wait_of("10.1.2.3", spend=False) for _ in range(3)] == [0, 0, 0]
    assert await admission.wait_of("10.1.2.3") == 0
    assert await admission.wait_of("10.1.2.3", spend=False) > 0
    await redis.aclose()


async def test_a_bucket_that_another_program_left_is_filled_by_the_time_since(redis_server, redis_client, patient):
    now = redis_client.time()[0]
    redis_client.hset("ratelimit:10.1.2.3", mapping={"tokens": "0.5", "last_refill": now - 2})
    assert (await ask(redis_server, 3, Limits(rate_per_second=1, rate_burst=5)))[:2] == [0, 0]


async def test_a_redis_that_does_not_answer_lets_people_in_and_is_counted():
    redis = Redis(host="127.0.0.1", port=free_port(), protocol=2)
    unanswered = []
    admission = ConnectionRate(redis, Limits(), lambda: unanswered.append(1))
    assert await admission.wait_of("10.1.2.3") == 0
    assert unanswered == [1]
    await redis.aclose()


async def test_a_redis_that_hangs_is_not_waited_for_however_many_come():
    questions = []

    async def hang(reader, writer):
        questions.append(await reader.read(1))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    redis = Redis(host="127.0.0.1", port=port, protocol=2)
    unanswered = []
    admission = ConnectionRate(redis, Limits(), lambda: unanswered.append(1))
    assert await asyncio.gather(*(admission.wait_of("10.1.2.3") for _ in range(100))) == [0] * 100
    assert len(unanswered) == 100
    assert 1 <= len(questions) <= AT_ONCE
    await redis.aclose()
    server.close()
    await server.wait_closed()


async def test_two_hundred_at_once_from_one_address_get_no_more_than_the_burst(redis_server, redis_client, patient):
    redis = Redis(host=redis_server.host, port=redis_server.port, protocol=2)
    unanswered = []
    admission = ConnectionRate(redis, Limits(rate_per_second=0.01), lambda: unanswered.append(1))
    waits = await asyncio.gather(*(admission.wait_of("10.1.2.3") for _ in range(200)))
    assert (waits.count(0), unanswered) == (5, [])
    await redis.aclose()


async def test_two_hundred_addresses_or_accounts_at_once_all_get_in(redis_server, redis_client, patient):
    redis = Redis(host=redis_server.host, port=redis_server.port, protocol=2)
    unanswered = []
    admission = ConnectionRate(redis, Limits(rate_per_second=0.01, rate_burst=1), lambda: unanswered.append(1))
    everybody = [f"203.0.113.{number}" for number in range(200)] + [f"account:{number}" for number in range(200)]
    assert await asyncio.gather(*(admission.wait_of(whom) for whom in everybody)) == [0] * 400
    assert all(await asyncio.gather(*(admission.wait_of(whom) for whom in everybody)))
    assert unanswered == []
    await redis.aclose()


async def test_an_answer_that_came_while_the_process_was_held_up_counts(redis_server, redis_client, monkeypatch):
    monkeypatch.setattr(connection_rate, "ANSWER_WITHIN", 1.0)
    redis = Redis(host=redis_server.host, port=redis_server.port, protocol=2)
    unanswered = []
    admission = ConnectionRate(redis, Limits(rate_per_second=0.01, rate_burst=1), lambda: unanswered.append(1))
    await admission.wait_of("10.1.2.3")
    asked = asyncio.ensure_future(admission.wait_of("10.1.2.3"))
    held_up = asyncio.Event()

    def hold_up():
        threading.Event().wait(1.0)
        held_up.set()

    asyncio.get_running_loop().call_later(0.0005, hold_up)
    await held_up.wait()
    assert await asked > 0
    assert unanswered == []
    await redis.aclose()
