"""Clients of a real Redis with TLS, client certificates and an ACL user, of a Unix socket, and of Sentinel's master."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from feeds.errors import StoreUnavailable
from feeds.store.connection import PIPELINE, Script, answering, connect, connect_async, connect_subscriber
from stockwatch.environment import Environment
from stockwatch.redis_address import read_redis_address
from tests.support.servers.certificates import make_certificates
from tests.support.servers.secure_redis import PASSWORD, USER, SecureRedis, SentinelSetup
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureRedis]:
    certificates = make_certificates(tmp_path_factory.mktemp("certificates"))
    with SecureRedis(certificates, tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["tls", "unix"])
def address(server: SecureRedis, request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "unix":
        return {"path": str(server.socket), "username": USER, "password": PASSWORD, "db": 0}
    return read_redis_address(Environment(server.variables))


def test_commands_and_scripts_run(address: dict[str, Any]):
    with connect(address) as client:
        assert client.set("a", 1)
        assert Script(client, "return redis.call('INCR', KEYS[1])")(["a"], []) == 2


async def test_asyncio_clients_read_and_receive_messages(address: dict[str, Any]):
    client = connect_async(address)
    subscriber = connect_subscriber(address, Retry(NoBackoff(), 0)).pubsub()
    await subscriber.subscribe("prices.AAPL")
    assert (await subscriber.get_message(timeout=60))["type"] == "subscribe"
    await client.publish("prices.AAPL", "1")
    assert (await subscriber.get_message(timeout=60))["data"] == b"1"
    await subscriber.aclose()
    await client.aclose()


def test_a_server_with_an_unknown_certificate_is_refused(server: SecureRedis):
    address = read_redis_address(Environment({"REDIS_URL": server.url}))
    with (
        connect(address, PIPELINE) as client,
        pytest.raises(StoreUnavailable, match="certificate verify failed"),
        answering(),
    ):
        client.ping()


def test_a_client_without_a_certificate_is_refused(server: SecureRedis):
    variables = {"REDIS_URL": server.url, "REDIS_CA_FILE": str(server.certificates.authority)}
    with connect(read_redis_address(Environment(variables))) as client, pytest.raises(redis.ConnectionError):
        client.ping()


def test_a_wrong_password_is_said(server: SecureRedis):
    variables = server.variables | {"REDIS_URL": server.url.replace("p%40ss", "other")}
    with (
        connect(read_redis_address(Environment(variables))) as client,
        pytest.raises(StoreUnavailable, match="invalid username-password pair"),
        answering(),
    ):
        client.ping()


@pytest.fixture
def sentinels() -> Iterator[SentinelSetup]:
    with SentinelSetup() as sentinels:
        yield sentinels


async def test_clients_follow_sentinel_to_the_new_master(sentinels: SentinelSetup):
    client, async_client = connect(sentinels.address, PIPELINE), connect_async(sentinels.address)
    assert client.set("a", 1)
    assert await async_client.get("a") == b"1"
    await asyncio.to_thread(sentinels.kill_master)

    def is_written() -> bool:
        try:
            return bool(client.set("a", 2))
        except redis.RedisError:
            return False

    await asyncio.to_thread(wait_until, is_written, 60, "a write to the new master")
    assert await async_client.get("a") == b"2"
    client.close()
    await async_client.aclose()


def test_a_service_that_no_sentinel_knows_is_said(sentinels: SentinelSetup):
    with (
        connect({**sentinels.address, "service": "other"}) as client,
        pytest.raises(StoreUnavailable, match="other"),
        answering(),
    ):
        client.ping()
