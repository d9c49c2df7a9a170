"""A real PostgreSQL for tests to kill, pause and start again: Debian's package, or any whose programs are on PATH.

It refuses to run as root: root's runs as the package's user, or as nobody.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from glob import glob
from pathlib import Path

import psycopg

from tests.support.kafka.brokers import Guard, steady_port
from tests.support.waiting import wait_until

SECONDS = 60.0
# A killed server loses nothing that the kernel has; a power cut is not what is tested.
SPEED = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")


class NoPostgres(RuntimeError):
    """PostgreSQL cannot run on this machine; the text says what is lacking."""


def programs() -> Path:
    """The folder of PostgreSQL's programs. Raises NoPostgres."""
    for found in (*sorted(glob("/usr/lib/postgresql/*/bin/initdb"), reverse=True), shutil.which("initdb")):
        if found:
            return Path(found).resolve().parent
    raise NoPostgres("no PostgreSQL: install one (Debian and Ubuntu: apt install postgresql)")


def unprivileged() -> dict[str, object]:
    """As whom its programs are run."""
    if os.getuid():
        return {}
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class Postgres:
    """One server with one empty database; its port and data stay however often it ends and starts."""

    def __init__(self) -> None:
        self._programs, self._who = programs(), unprivileged()
        self._folder = Path(tempfile.mkdtemp(prefix="stockwatch-postgres-"))
        if self._who:
            os.chown(self._folder, self._who["user"], self._who["group"])
        self._guard = Guard(self._folder)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = steady_port()
        self.address = f"postgres://stockwatch@127.0.0.1:{self.port}/stockwatch"
        self._run("initdb", "-D", str(self._data), "-U", "stockwatch", "-A", "trust", "-E", "UTF8", "--no-sync")

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def create(self) -> None:
        """For the first start: makes the database."""
        self.start()
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "stockwatch", "stockwatch")

    def _run(self, program: str, *options: str) -> None:
        command = [str(self._programs / program), *options]
        subprocess.run(command, check=True, capture_output=True, cwd="/", **self._who)

    def start(self) -> None:
        """Returns when it answers."""
        with (self._folder / "log.txt").open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *(str(self._programs / "postgres"), "-D", str(self._data), "-p", str(self.port)),
                    *("-k", str(self._folder), "-c", "listen_addresses=127.0.0.1", *SPEED),
                ],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self._who,
            )
        self._guard.watch(self._process.pid)
        wait_until(self.answers, SECONDS, "PostgreSQL answers; that")

    def answers(self) -> bool:
        try:
            psycopg.connect(host="127.0.0.1", port=self.port, user="stockwatch", dbname="postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def kill(self) -> None:
        """Ends it, with all who serve connections, as a crash would."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(SECONDS)
        self._guard.forget(self._process.pid)

    def pause(self) -> None:
        """Freezes it: connections stay open, new ones are taken, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def proceed(self) -> None:
        self._signal(signal.SIGCONT)

    def revive(self) -> None:
        """Whatever a test has done to it, it answers."""
        assert self._process is not None
        if self._process.poll() is None:
            self.proceed()
        else:
            self.start()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        # Its children lead sessions of their own.
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in (self._process.pid, *map(int, children)):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        self._guard.close()
