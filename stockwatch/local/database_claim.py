"""Lets a `runstack` process claim its database, so that other `runstack` processes can notice the claim."""

import fcntl
import os

from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

POSTGRES_LOCK = 0x73746F636B  # any number that other programs do not use
claims: list[BaseDatabaseWrapper] = []
"""The connections that hold the claims of this process, so that they stay open."""


def claim_database() -> bool:
    """Claims the database until this process ends. Returns False if another process has claimed the database."""
    if connection.vendor == "postgresql":
        return _lock_in_transaction()
    # The claim on an SQLite file is a lock on a file beside it. This lock file is never removed.
    name = str(connection.settings_dict["NAME"])
    in_memory = name == ":memory:" or name.startswith("file:memorydb_")
    return in_memory or _lock(name + ".stack")


def _lock_in_transaction() -> bool:
    # The lock belongs to a transaction, which stays open. A lock of a session would not do: after each transaction,
    # pgbouncer can give the session to another program.
    claim = connections.create_connection(connection.alias)
    claim.set_autocommit(False)
    with claim.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [POSTGRES_LOCK])
        is_claimed = bool(cursor.fetchone()[0])
    if is_claimed:
        claims.append(claim)
    else:
        claim.close()
    return is_claimed


def _lock(path: str) -> bool:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    # The descriptor stays open, because closing it ends the lock. Child processes do not inherit the descriptor.
    return True
