"""The commands of docs/operations/backup.md give the same rows again, although a program writes meanwhile."""

import os
import re
import sqlite3
import subprocess
from pathlib import Path

import psycopg

from tests.support.servers.commands import ROOT, migrate
from tests.support.servers.postgres import programs_folder, started_postgres

PAGE = (ROOT / "docs/operations/backup.md").read_text()
ADD = "INSERT INTO auth_group (id, name) VALUES ({}, '{}')"
"""With an id, because PostgreSQL counts ids without regard to transactions."""


def run_documented(start: str, folder: Path, **variables: str) -> None:
    """Runs the only command of the page that begins with `start`, in a shell."""
    [command] = re.findall(rf"^    ({re.escape(start)}.*)$", PAGE, re.MULTILINE)
    run_shell(command, folder, **variables)


def run_shell(command: str, folder: Path, **variables: str) -> str:
    """Returns the output of a command that finds the programs of PostgreSQL."""
    environment = os.environ | {"PATH": f"{programs_folder()}:{os.environ['PATH']}"} | variables
    done = subprocess.run(["sh", "-c", command], cwd=folder, env=environment, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def dump(address: str, folder: Path) -> list[str]:
    """Returns the lines of a dump in plain SQL, without the random key that newer versions write."""
    lines = run_shell('pg_dump --dbname="$DATABASE_URL"', folder, DATABASE_URL=address).splitlines()
    return [line for line in lines if not line.startswith(("\\restrict", "\\unrestrict"))]


def test_a_restored_dump_of_postgresql_has_the_same_rows(tmp_path: Path):
    with started_postgres() as server:
        migrate(os.environ | {"DATABASE_URL": server.address})
        with psycopg.connect(server.address, autocommit=True) as connection:
            connection.execute(ADD.format(1, "kept"))
            connection.execute("CREATE DATABASE restored")
        before = dump(server.address, tmp_path)
        with psycopg.connect(server.address) as writer:
            writer.execute(ADD.format(2, "later"))
            run_documented("pg_dump", tmp_path, DATABASE_URL=server.address)
        restored = f"{server.address.removesuffix('stockwatch')}restored"
        run_documented("pg_restore", tmp_path, DATABASE_URL=restored)
        assert any(line.endswith("\tkept") for line in before)
        assert dump(restored, tmp_path) == before
        assert dump(server.address, tmp_path) != before


def read_names(folder: Path) -> list[str]:
    """Returns the rows of the table in the SQLite file `db.sqlite3`."""
    connection = sqlite3.connect(folder / "db.sqlite3")
    try:
        return [name for (name,) in connection.execute("SELECT name FROM auth_group ORDER BY name")]
    finally:
        connection.close()


def test_a_restored_copy_of_an_sqlite_file_has_the_same_rows(tmp_path: Path):
    writer = sqlite3.connect(tmp_path / "db.sqlite3", isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE auth_group (id, name)")
    writer.execute(ADD.format(1, "kept"))
    writer.execute("BEGIN IMMEDIATE")
    writer.execute(ADD.format(2, "later"))
    run_documented("python3 -c", tmp_path)
    writer.execute("COMMIT")
    assert read_names(tmp_path) == ["kept", "later"]
    writer.close()
    for start in ("rm", "cp"):
        run_documented(start, tmp_path)
    assert read_names(tmp_path) == ["kept"]
