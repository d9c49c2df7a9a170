"""Makes the database or Redis of tests refuse writes, as they do on a full disk."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from django.db import connection

from stockwatch.local.redis_server import RedisServer
from tests.support.waiting import wait_until

REFUSE = """
CREATE FUNCTION refuse_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION USING ERRCODE = 'disk_full', MESSAGE = 'could not extend file: No space left on device'; END $$
"""


@contextmanager
def full_disk(table: str) -> Iterator[None]:
    """Lets the database write no more rows to a table.

    SQLite gets no page more. PostgreSQL answers with the error of a full disk, because its limit would stop the server.
    """
    if connection.vendor == "sqlite":
        with full_sqlite():
            yield
        return
    with connection.cursor() as cursor:
        cursor.execute(REFUSE)
        cursor.execute(f"CREATE TRIGGER full_disk BEFORE INSERT ON {table} EXECUTE FUNCTION refuse_row()")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION refuse_row CASCADE")


@contextmanager
def full_sqlite() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")  # no page is free
        cursor.execute("PRAGMA page_count")
        [pages] = cursor.fetchone()
        cursor.execute(f"PRAGMA max_page_count = {pages}")
        try:
            yield
        finally:
            cursor.execute("PRAGMA max_page_count = 1073741823")


@contextmanager
def redis_with_snapshots(folder: Path) -> Iterator[tuple[RedisServer, redis.Redis]]:
    """A Redis that stores snapshots in a folder, and a client of this Redis."""
    folder.mkdir()
    with RedisServer(options=("--dir", str(folder), "--save", "3600 1")) as server:
        client = redis.Redis(host=server.host, port=server.port, protocol=2)
        yield server, client
        client.close()


def refuse_writes(client: redis.Redis, folder: Path) -> None:
    """Makes Redis refuse writes, because it can store no snapshot in its folder."""
    folder.rmdir()
    client.bgsave()
    wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")


def accept_writes(client: redis.Redis) -> None:
    client.config_set("save", "")
