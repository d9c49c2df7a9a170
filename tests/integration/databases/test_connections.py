"""How many connections to a real PostgreSQL a gateway opens and keeps."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.support.gateway.process import ROOT, GatewayProcess
from tests.support.servers.certificates import make_certificates
from tests.support.servers.commands import migrate
from tests.support.servers.pgbouncer import Pgbouncer
from tests.support.servers.postgres import Postgres, started_postgres
from tests.support.servers.secure_postgres import started_secure_postgres
from tests.support.waiting import wait_until

OF_GATEWAY = "usename = 'stockwatch' AND pid != pg_backend_pid() AND backend_type = 'client backend'"


POOL = "pool"
"""The `application_name` of the gateway with a pool."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with started_postgres() as server:
        migrate(os.environ | {"DATABASE_URL": server.address})
        yield server


def read_connections(postgres: Postgres, name: str = "") -> list[int]:
    """Returns the process id of each connection of the gateway whose connections have this `application_name`."""
    with psycopg.connect(postgres.address) as connection:
        query = f"SELECT pid FROM pg_stat_activity WHERE {OF_GATEWAY} AND application_name = %s"
        rows = connection.execute(query, [name]).fetchall()
    return [pid for (pid,) in rows]


def wait_for_readings(postgres: Postgres) -> None:
    """Waits until the gateway has read the tickers several times."""
    before = count_readings(postgres)
    wait_until(lambda: count_readings(postgres) > before + 20, what="some readings")


def count_readings(postgres: Postgres) -> int:
    """Returns how many transactions the server has ended: the gateway reads the tickers twice a second."""
    with psycopg.connect(postgres.address) as connection:
        row = connection.execute("SELECT xact_commit FROM pg_stat_database WHERE datname = 'stockwatch'").fetchone()
    return row[0] if row else 0


def test_a_gateway_reads_tickers_with_one_connection_and_keeps_none_of_a_request(postgres: Postgres, run_gateway):
    variables = {"DATABASE_URL": postgres.address, "DATABASE_CONN_MAX_AGE": "1h"}
    gateway: GatewayProcess = run_gateway("rungateway", **variables)
    with gateway.connect():  # the first socket starts the reading of tickers
        wait_for_readings(postgres)
        [first] = wait_until(lambda: len(found := read_connections(postgres)) == 1 and found, what="one connection")
        assert gateway.get("/")[0] == 200
        wait_for_readings(postgres)
        wait_until(lambda: read_connections(postgres) == [first], what="the same connection alone")


@pytest.fixture(scope="module")
def with_pool(postgres: Postgres, run_gateway) -> GatewayProcess:
    """A gateway whose threads share at most three connections."""
    return run_gateway("rungateway", DATABASE_URL=f"{postgres.address}?application_name={POOL}", DATABASE_POOL_SIZE="3")


def test_requests_of_a_gateway_with_a_pool_share_its_connections(postgres: Postgres, with_pool: GatewayProcess):
    with with_pool.connect(), ThreadPoolExecutor(8) as clients:
        wait_for_readings(postgres)
        opened = with_pool.metric("database_connects_total")
        assert set(clients.map(lambda _: with_pool.get("/")[0], range(40))) == {200}
        assert 1 <= len(read_connections(postgres, POOL)) <= 3
        assert with_pool.metric("database_connects_total") <= opened + 3


def test_a_gateway_with_a_pool_connects_again_after_the_server_restarts(postgres: Postgres, with_pool: GatewayProcess):
    with with_pool.connect("?meta=1") as client:
        assert with_pool.get("/")[0] == 200
        postgres.kill()
        wait_until(lambda: with_pool.get("/")[0] == 503, 60, "the page says that the database is unavailable")
        wait_until(lambda: client.recv(timeout=60) == '{"type":"service","lists":false}', 60, "the outage in a frame")
        postgres.start()
        wait_until(lambda: with_pool.get("/")[0] == 200, 60, "the page after the restart")
        wait_until(lambda: client.recv(timeout=60) == '{"type":"service","lists":true}', 60, "its end in a frame")
        wait_until(lambda: {with_pool.get("/")[0] for _ in range(5)} == {200}, 60, "all connections are new")


def test_a_pool_works_behind_pgbouncer(tmp_path, run_gateway):
    with started_secure_postgres(make_certificates(tmp_path)) as server, Pgbouncer(server) as pgbouncer:
        variables = {**pgbouncer.variables, "DATABASE_POOL_SIZE": "3"}
        migrate(os.environ | variables)
        gateway = run_gateway("rungateway", **variables)
        with gateway.connect(), ThreadPoolExecutor(8) as clients:
            assert set(clients.map(lambda _: gateway.get("/")[0], range(40))) == {200}
            assert gateway.metric("database_connects_total") <= 10


@pytest.mark.parametrize(("command", "limit"), [("shell", "0"), ("runprocessor", "30s")])
def test_only_programs_that_run_all_the_time_have_a_limit_for_queries(postgres: Postgres, command: str, limit: str):
    code = (
        "import django; django.setup()\n"
        "from django.db import connection\n"
        "from stockwatch.command_line import UNLIMITED_COMMANDS, lift_statement_timeout\n"
        f"{command!r} in UNLIMITED_COMMANDS and lift_statement_timeout()\n"
        "cursor = connection.cursor(); cursor.execute('SHOW statement_timeout'); print(cursor.fetchone()[0])"
    )
    environment = os.environ | {"DATABASE_URL": postgres.address, "DJANGO_SETTINGS_MODULE": "stockwatch.settings"}
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ended.stdout.strip() == limit
