import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection

from stockwatch.local.database_claim import claim_database, claims

ROOT = Path(__file__).resolve().parents[3]
SETUP = "import django; django.setup()\n"
HOLD = "from stockwatch.local.demo import *; print(sign_in_hint(False), flush=True); input()"
PASSWORD = "from django.contrib.auth import get_user_model as m; print(m().objects.get(username='demo').password)"


@pytest.fixture
def run(tmp_path: Path, ticker_database: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Returns a function that runs Python code in a process of its own, all with the same database file."""
    file = shutil.copy(ticker_database, tmp_path / "stack.sqlite3")
    environment = os.environ | {"DATABASE_URL": f"sqlite:///{file}", "DJANGO_SETTINGS_MODULE": "stockwatch.settings"}
    started: list[subprocess.Popen[str]] = []

    def run(code: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SETUP + code]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        started.append(subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_a_second_stack_on_the_same_database_leaves_the_demo_password(run: Callable[[str], subprocess.Popen[str]]):
    first = run(HOLD)
    assert first.stdout.readline().startswith("; sign in as demo with the password ")
    before = run(PASSWORD).stdout.readline()
    second = run(HOLD)
    hint = "; sign in as demo with the password that the first stack on this database printed\n"
    assert second.stdout.readline() == hint
    assert run(PASSWORD).stdout.readline() == before

    first.kill()
    first.wait()
    third = run(HOLD)
    assert third.stdout.readline() != hint
    assert run(PASSWORD).stdout.readline() != before


@pytest.mark.django_db(transaction=True)
def test_a_claim_of_a_postgresql_is_held_by_a_connection_of_its_own():
    try:
        assert claim_database()
        connection.close()
        # The database of these tests is in the memory of this process, unless `make test-postgres` runs them.
        assert claim_database() is (connection.vendor != "postgresql")
    finally:
        while claims:
            claims.pop().close()
