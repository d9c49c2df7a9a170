from collections.abc import Iterator

import pytest
import redis

from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.recording.recorded_bars import RecordedBars


@pytest.fixture
def recorded(db: None, redis_server: RedisServer, redis_client: redis.Redis, settings) -> Iterator[RecordedBars]:
    settings.REDIS = {"host": redis_server.host, "port": redis_server.port, "password": None, "db": 0}
    recorded = RecordedBars(redis_server)
    yield recorded
    recorded.close()


@pytest.fixture
def unreachable_redis(settings) -> None:
    """Makes pages read a Redis that does not exist. Must come after `recorded`."""
    settings.REDIS = {"host": "127.0.0.1", "port": free_port(), "password": None, "db": 0}
