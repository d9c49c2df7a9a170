"""A PostgreSQL that programs reach over TLS only, with a client certificate and a password."""

import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import psycopg

from tests.support.servers.certificates import Certificates
from tests.support.servers.postgres import Postgres, started_postgres

USER, PASSWORD = "reader", "hunter2"
ACCESS = f"""
hostssl all {USER} 127.0.0.1/32 scram-sha-256 clientcert=verify-ca
hostnossl all {USER} 127.0.0.1/32 reject
"""


def copy_for_server(file: Path, copy: Path, user: Mapping[str, object]) -> Path:
    """Copies a file so that only the user of a server can read the copy. Returns the path of the copy."""
    shutil.copy(file, copy)
    copy.chmod(0o600)
    if user:
        shutil.chown(copy, user["user"], user["group"])
    return copy


class SecurePostgres(Postgres):
    """`variables` are the environment variables of a program that uses this server."""

    def __init__(self, certificates: Certificates) -> None:
        super().__init__()
        self.certificates = certificates
        certificates.key.chmod(0o600)
        for option, name in (("ssl_ca_file", "authority"), ("ssl_cert_file", "certificate"), ("ssl_key_file", "key")):
            copy_for_server(getattr(certificates, name), self._data / name, self._user)
            self._add_line("postgresql.conf", f"{option} = '{name}'")
        self._add_line("postgresql.conf", "ssl = on")
        access = self._data / "pg_hba.conf"
        access.write_text(ACCESS + access.read_text())

    def _add_line(self, file: str, line: str) -> None:
        with (self._data / file).open("a") as settings:
            settings.write(line + "\n")

    @property
    def variables(self) -> Mapping[str, str]:
        return {
            "DATABASE_URL": f"postgres://{USER}:{PASSWORD}@localhost:{self.port}/stockwatch",
            "DATABASE_CA_FILE": str(self.certificates.authority),
            "DATABASE_CERT_FILE": str(self.certificates.certificate),
            "DATABASE_KEY_FILE": str(self.certificates.key),
        }

    def create(self) -> None:
        super().create()
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
            connection.execute(f"ALTER DATABASE stockwatch OWNER TO {USER}")


def started_secure_postgres(certificates: Certificates) -> AbstractContextManager[SecurePostgres]:
    """Runs a server with an empty database. Skips the test if PostgreSQL is not installed."""
    return started_postgres(partial(SecurePostgres, certificates))
