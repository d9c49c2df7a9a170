"""Runs a real pgbouncer in transaction mode in front of a PostgreSQL with TLS."""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import psycopg
import pytest

from stockwatch.local.redis_server import StartedInBlock, end_process, free_port
from tests.support.servers.postgres import TIMEOUT_SECONDS, unprivileged_user
from tests.support.servers.processes import ProcessReaper
from tests.support.servers.secure_postgres import PASSWORD, USER, SecurePostgres, copy_for_server
from tests.support.waiting import wait_until

SERVER_CONNECTIONS = 4
"""How many connections to PostgreSQL all programs share. Only transactions can share so few."""


class Pgbouncer(StartedInBlock):
    """Accepts programs over TLS. Each transaction of a program may use another connection to the server.

    `variables` are the environment variables of a program that connects through pgbouncer.
    """

    def __init__(self, postgres: SecurePostgres) -> None:
        self._postgres = postgres
        self._user = unprivileged_user()
        self._folder = Path(tempfile.mkdtemp(prefix="stockwatch-pgbouncer-"))
        self._reaper = ProcessReaper(self._folder)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"postgres://{USER}:{PASSWORD}@localhost:{self.port}/stockwatch"

    @property
    def variables(self) -> Mapping[str, str]:
        authority = str(self._postgres.certificates.authority)
        return {"DATABASE_URL": self.url, "DATABASE_CA_FILE": authority, "DATABASE_PGBOUNCER": "true"}

    def start(self) -> None:
        program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
        if program is None:
            self._reaper.close()
            pytest.skip("the program pgbouncer is not installed")
        with (self._folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                [program, str(self._write_files())], stdout=log, stderr=log, start_new_session=True, **self._user
            )
        self._reaper.watch(self._process.pid)
        wait_until(self._answers, TIMEOUT_SECONDS, "an answer of pgbouncer")

    def _write_files(self) -> Path:
        files = {
            name: copy_for_server(getattr(self._postgres.certificates, name), self._folder / name, self._user)
            for name in ("authority", "certificate", "key")
        }
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": self._folder / "users.txt",
            "admin_users": USER,
            "pool_mode": "transaction",
            "default_pool_size": SERVER_CONNECTIONS,
            "server_login_retry": 1,
            "query_wait_timeout": 10,
            "client_tls_sslmode": "require",
            "client_tls_ca_file": files["authority"],
            "client_tls_cert_file": files["certificate"],
            "client_tls_key_file": files["key"],
            "server_tls_sslmode": "verify-full",
            "server_tls_ca_file": files["authority"],
            "server_tls_cert_file": files["certificate"],
            "server_tls_key_file": files["key"],
        }
        # Not `localhost`, which may also name ::1: pgbouncer uses the addresses of a name in turn.
        database = f"stockwatch = host=127.0.0.1 port={self._postgres.port}"
        lines = "\n".join(f"{name} = {value}" for name, value in settings.items())
        (self._folder / "users.txt").write_text(f'"{USER}" "{PASSWORD}"\n')
        file = self._folder / "pgbouncer.ini"
        file.write_text(f"[databases]\n{database}\n[pgbouncer]\n{lines}\n")
        if self._user:
            shutil.chown(self._folder, self._user["user"], self._user["group"])
        return file

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url).close()
        except psycopg.OperationalError:
            return False
        return True

    def totals(self) -> Mapping[str, int]:
        """Returns the counters of `SHOW STATS_TOTALS` for the database, such as `xact_count`."""
        address = self.url.removesuffix("stockwatch") + "pgbouncer"
        with psycopg.connect(address, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
            cursor = connection.execute("SHOW STATS_TOTALS")
            names = [column.name for column in cursor.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        return next(row for row in rows if row["database"] == "stockwatch")

    def close(self) -> None:
        if self._process is not None:
            end_process(self._process)
        self._reaper.close()
