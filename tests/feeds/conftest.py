from collections.abc import Iterator

import pytest
import redis

from tests.support.publications import Publications


@pytest.fixture
def publications(redis_client: redis.Redis) -> Iterator[Publications]:
    publications = Publications(redis_client)
    yield publications
    publications.close()
