"""Runs a real PostgreSQL. A test can kill, pause and restart the server.

The programs come from Debian's package or from PATH. PostgreSQL refuses to run as root. If the tests run as root,
PostgreSQL runs as the user `postgres` or `nobody`.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest

from stockwatch.local.redis_server import free_port
from tests.support.servers.processes import ProcessReaper
from tests.support.waiting import wait_until

TIMEOUT_SECONDS = 60.0
# Without fsync a killed server loses nothing, because the kernel already has the writes of the server. Without
# `synchronous_commit` it would lose the transactions of its last moments, which it has not written yet.
FAST_OPTIONS = ("-c", "fsync=off", "-c", "full_page_writes=off")


class PostgresNotInstalled(RuntimeError):
    """PostgreSQL cannot run on this machine. The message says what is missing."""


def programs_folder() -> Path:
    """Returns the folder of PostgreSQL's programs. Raises PostgresNotInstalled."""
    for found in (*sorted(glob("/usr/lib/postgresql/*/bin/initdb"), reverse=True), shutil.which("initdb")):
        if found:
            return Path(found).resolve().parent
    raise PostgresNotInstalled("no PostgreSQL: install one (Debian and Ubuntu: apt install postgresql)")


def unprivileged_user() -> dict[str, object]:
    """Returns options of Popen that run a program as a user without root's rights."""
    if os.getuid():
        return {}
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class Postgres:
    """A server with one database, which is empty at first. Port and data stay the same after a restart."""

    def __init__(self) -> None:
        self._programs, self._user = programs_folder(), unprivileged_user()
        self._folder = Path(tempfile.mkdtemp(prefix="stockwatch-postgres-"))
        if self._user:
            os.chown(self._folder, self._user["user"], self._user["group"])
        self._reaper = ProcessReaper(self._folder)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.address = f"postgres://stockwatch@127.0.0.1:{self.port}/stockwatch"
        self._run("initdb", "-D", str(self._data), "-U", "stockwatch", "-A", "trust", "-E", "UTF8", "--no-sync")

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def create(self) -> None:
        """Starts the server for the first time and creates the database."""
        self.start()
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "stockwatch", "stockwatch")

    def add_role(self, name: str, password: str) -> None:
        """Creates a role that must sign in with a password. The owner of the database needs no password."""
        access = self._data / "pg_hba.conf"
        access.write_text(f"host all {name} 127.0.0.1/32 scram-sha-256\n" + access.read_text())
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
            connection.execute("SELECT pg_reload_conf()")
        wait_until(lambda: not self._accepts(name), TIMEOUT_SECONDS, "the new rule of access")

    def _accepts(self, name: str) -> bool:
        try:
            psycopg.connect(host="127.0.0.1", port=self.port, user=name, dbname="postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *options: str) -> None:
        command = [str(self._programs / program), *options]
        subprocess.run(command, check=True, capture_output=True, cwd="/", **self._user)

    def start(self) -> None:
        """Starts the server and returns when it answers."""
        with (self._folder / "log.txt").open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *(str(self._programs / "postgres"), "-D", str(self._data), "-p", str(self.port)),
                    *("-k", str(self._folder), "-c", "listen_addresses=127.0.0.1", *FAST_OPTIONS),
                ],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self._user,
            )
        self._reaper.watch(self._process.pid)
        wait_until(self.answers, TIMEOUT_SECONDS, "an answer of PostgreSQL")

    def answers(self) -> bool:
        try:
            psycopg.connect(host="127.0.0.1", port=self.port, user="stockwatch", dbname="postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def kill(self) -> None:
        """Kills the server and the processes of its connections."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(TIMEOUT_SECONDS)
        self._reaper.forget(self._process.pid)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Locks all tables during a `with` block. Statements of other connections wait for the end of the block."""
        with psycopg.connect(self.address) as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            names = ", ".join(f'"{name}"' for (name,) in tables)
            connection.execute(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
            yield

    def pause(self) -> None:
        """Freezes the server.

        Open connections stay open. New connections are accepted. The server answers no request.
        """
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def restore(self) -> None:
        """Restarts or resumes the server."""
        assert self._process is not None
        if self._process.poll() is None:
            self.resume()
        else:
            self.start()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        # The child processes have their own sessions.
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in (self._process.pid, *map(int, children)):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        self._reaper.close()


Server = TypeVar("Server", bound=Postgres)


@contextmanager
def started_postgres(make_server: Callable[[], Server] = Postgres) -> Iterator[Server]:
    """Runs a server with an empty database. Skips the test if PostgreSQL is not installed."""
    try:
        server = make_server()
    except PostgresNotInstalled as reason:
        pytest.skip(str(reason))
    try:
        server.create()
        yield server
    finally:
        server.close()
