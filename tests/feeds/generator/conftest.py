from collections.abc import Iterator

import pytest
import redis

from feeds.store.connection import connect
from stockwatch.local.redis_server import RedisServer


@pytest.fixture
def client(redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[redis.Redis]:
    """The client with which programs of `feeds` use an empty Redis."""
    client = connect({"host": redis_server.host, "port": redis_server.port})
    yield client
    client.close()
