import pytest
import redis

from stockwatch.local.redis_server import RedisServer
from tests.support.recording.recorder import RecorderFactory


@pytest.fixture
def factory(kafka: str, topic: str, redis_server: RedisServer, redis_client: redis.Redis) -> RecorderFactory:
    """Recorders of an empty topic and an empty Redis."""
    return RecorderFactory(kafka, topic, redis_server)
