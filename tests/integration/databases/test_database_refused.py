import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers.commands import Command
from tests.support.servers.postgres import Postgres, started_postgres
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with started_postgres() as server:
        server.add_role("reader", "hunter1")
        yield server


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, timeout=120, check=False
    )


COMMANDS = [
    "migrate",
    "rungateway",
    "runkafkagen",
    "runrecorder",
    "runalerts",
    "rundelivery",
    "runfeed",
    "purge",
    "showmigrations",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_password_ends_a_command_in_one_line(postgres: Postgres, command: str):
    url = postgres.address.replace("stockwatch@", "reader:hunter2@")
    variables = {"DATABASE_URL": url, "REDIS_ADDR": "127.0.0.1:1", "KAFKA_BROKERS": "127.0.0.1:1"}
    ended = run(sys.executable, "manage.py", command, **variables)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("stockwatch: the database cannot be used (")
    assert 'password authentication failed for user "reader"): check DATABASE_URL' in ended.stderr
    assert "hunter2" not in ended.stderr


@pytest.mark.parametrize("url", ["sqlite:////absent/db.sqlite3", "postgres://reader:hunter2@127.0.0.1:1/stock"])
def test_a_database_that_cannot_be_opened_ends_a_command_in_one_line(url: str):
    ended = run(sys.executable, "manage.py", "migrate", DATABASE_URL=url)
    assert ended.returncode == 1
    assert ended.stderr.startswith("stockwatch: the database cannot be used (")
    assert ended.stderr.count("\n") == 1


def test_missing_tables_end_a_command_in_one_line_that_says_what_to_run(tmp_path: Path):
    ended = run(sys.executable, "manage.py", "purge", DATABASE_URL=f"sqlite:///{tmp_path}/empty.sqlite3")
    assert ended.returncode == 1
    reason = "no such table: django_session): check DATABASE_URL, and that `manage.py migrate` was run\n"
    assert ended.stderr == f"stockwatch: the database cannot be used ({reason}"


def test_the_option_traceback_still_shows_the_error():
    ended = run(sys.executable, "manage.py", "migrate", "--traceback", DATABASE_URL="sqlite:////absent/db.sqlite3")
    assert "Traceback" in ended.stderr


def test_a_gateway_still_starts_while_the_database_does_not_answer(tmp_path: Path):
    variables = {"DATABASE_URL": "postgres://reader:hunter2@127.0.0.1:1/stock"}
    variables |= {"REDIS_ADDR": "127.0.0.1:1", "GATEWAY_PROCESSES": "1"}
    command = Command("rungateway", os.environ | variables, tmp_path / "log.txt", "--host", "127.0.0.1", "--port", "0")
    wait_until(lambda: command.logged("gateway listening"), what="the gateway")
    assert command.end() == 0
