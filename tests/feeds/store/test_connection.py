import re
import socket
from pathlib import Path

import pytest
import redis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff

from feeds.errors import StoreUnavailable
from feeds.store.connection import (
    GATEWAY,
    KEEPALIVE_OPTIONS,
    OWNER,
    PAGE,
    PIPELINE,
    PROBE,
    Profile,
    answering,
    connect,
    connect_async,
    connect_subscriber,
)
from stockwatch.local.redis_server import free_port
from tests.support.proxies.black_hole import BlackHoleProxy

ROOT = Path(__file__).parents[3]
ADDRESS = {"host": "127.0.0.1", "port": 6380, "password": "secret", "db": 2}


def options_of(client: redis.Redis) -> dict:
    options = client.connection_pool.connection_kwargs
    return {name: options[name] for name in ("socket_timeout", "socket_connect_timeout", "protocol", *ADDRESS)}


@pytest.mark.parametrize(
    ("profile", "timeout", "connect_timeout", "retries"),
    [(PIPELINE, 2.0, 1.0, 1), (GATEWAY, 2.0, 2.0, 1), (OWNER, 1.0, 1.0, 1), (PAGE, 1.0, 1.0, 1), (PROBE, 1.0, 1.0, 0)],
)
@pytest.mark.parametrize("connector", [connect, connect_async])
def test_a_client_has_the_time_outs_and_retries_of_its_profile(
    connector: object, profile: Profile, timeout: float, connect_timeout: float, retries: int
):
    client = connector(ADDRESS, profile)

    expected = {"socket_timeout": timeout, "socket_connect_timeout": connect_timeout, "protocol": 2, **ADDRESS}
    assert options_of(client) == expected
    assert client.connection_pool.connection_kwargs["retry"].get_retries() == retries


def test_a_subscriber_has_the_options_of_its_host_and_the_given_retry():
    retry = AsyncRetry(NoBackoff(), 0)
    options = connect_subscriber({**ADDRESS, "protocol": 2}, retry).connection_pool.connection_kwargs

    assert {name: options[name] for name in ("protocol", "retry", *ADDRESS)} == {
        **ADDRESS,
        "protocol": 2,
        "retry": retry,
    }
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (2.0, 2.0)


@pytest.mark.parametrize("fault", ["swallow", "stall"])
@pytest.mark.parametrize("profile", [PIPELINE, GATEWAY, PAGE, PROBE])
def test_a_command_without_a_reply_fails_and_the_next_connection_works(redis_server, fault: str, profile: Profile):
    with BlackHoleProxy((redis_server.host, redis_server.port)) as proxy:
        client = connect({"host": proxy.host, "port": proxy.port}, profile)
        client.ping()
        getattr(proxy, fault)(catch_new=True)
        with pytest.raises(redis.RedisError):
            client.ping()
        proxy.recover()
        assert client.ping()
        client.close()


def test_the_kernel_gives_up_a_peer_that_acknowledges_nothing(redis_server):
    client = connect({"host": redis_server.host, "port": redis_server.port})
    client.ping()
    connection = client.connection_pool.get_connection()
    assert connection._sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert all(
        connection._sock.getsockopt(socket.IPPROTO_TCP, *item[:1]) == item[1] for item in KEEPALIVE_OPTIONS.items()
    )
    client.connection_pool.release(connection)
    client.close()


def test_errors_of_the_client_become_transient_errors():
    with pytest.raises(StoreUnavailable, match="ConnectionError"), answering():
        connect({"host": "127.0.0.1", "port": free_port()}, PROBE).ping()


def test_no_other_module_builds_a_redis_client():
    sources = [path for app in ("feeds", "watchlist", "stockwatch") for path in (ROOT / app).rglob("*.py")]
    builders = [path.relative_to(ROOT).as_posix() for path in sources if re.search(r"\bRedis\(", path.read_text())]

    assert builders == ["feeds/store/connection.py"]
