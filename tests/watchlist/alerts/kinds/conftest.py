from collections.abc import Iterator

import pytest
import redis

from stockwatch.local.redis_server import RedisServer
from tests.support.recording.recorded_bars import RecordedBars


@pytest.fixture
def recorded(db: None, redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[RecordedBars]:
    recorded = RecordedBars(redis_server)
    yield recorded
    recorded.close()
