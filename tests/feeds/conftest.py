from collections.abc import Iterator

import pytest
import redis
from asgiref.sync import SyncToAsync
from django.db import connections

from tests.support.publications import Publications


@pytest.fixture
def publications(redis_client: redis.Redis) -> Iterator[Publications]:
    publications = Publications(redis_client)
    yield publications
    publications.close()


@pytest.fixture
def closed_connections() -> Iterator[None]:
    """Closes the database connections of the thread in which coroutines make queries."""
    yield
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()
