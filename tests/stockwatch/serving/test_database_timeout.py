"""Queries to a real PostgreSQL through a proxy that swallows their bytes."""

from collections.abc import Iterator

import pytest
from django.db import ConnectionHandler, OperationalError
from django.db.backends.signals import connection_created

from stockwatch.serving import database_timeout
from tests.support.proxies.black_hole import BlackHoleProxy
from tests.support.servers.postgres import Postgres, started_postgres


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with started_postgres() as server:
        yield server


@pytest.mark.django_db
@pytest.mark.parametrize("fault", ["swallow", "stall"])
def test_a_query_without_an_answer_fails_and_the_next_connection_works(postgres, fault, monkeypatch):
    monkeypatch.setattr(database_timeout, "QUERY_SECONDS", 3.0)
    with BlackHoleProxy(("127.0.0.1", postgres.port)) as proxy:
        options = {"ENGINE": "django.db.backends.postgresql", "HOST": proxy.host, "PORT": proxy.port}
        database = ConnectionHandler({"default": {**options, "NAME": "postgres", "USER": "stockwatch"}})["default"]
        connection_created.connect(database_timeout.limit_waits)
        with database.cursor() as cursor:
            cursor.execute("SELECT 1")
        getattr(proxy, fault)()
        with pytest.raises(OperationalError, match="did not answer"), database.cursor() as cursor:
            cursor.execute("SELECT 2")
        database.close_if_unusable_or_obsolete()
        with database.cursor() as cursor:
            cursor.execute("SELECT 3")
            assert cursor.fetchone() == (3,)
        database.close()
