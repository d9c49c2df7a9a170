"""How many connections to a real PostgreSQL a gateway opens and keeps."""

import os
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from tests.support.gateway.process import ROOT, GatewayProcess
from tests.support.servers.commands import migrate
from tests.support.servers.postgres import Postgres, started_postgres
from tests.support.waiting import wait_until

OF_GATEWAY = "usename = 'stockwatch' AND pid != pg_backend_pid() AND backend_type = 'client backend'"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with started_postgres() as server:
        migrate(os.environ | {"DATABASE_URL": server.address})
        yield server


def read_connections(postgres: Postgres) -> list[int]:
    """Returns the process id of each connection of the gateway."""
    with psycopg.connect(postgres.address) as connection:
        rows = connection.execute(f"SELECT pid FROM pg_stat_activity WHERE {OF_GATEWAY}").fetchall()
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
