"""Checks the database: access, tables, and an administrator."""

from collections.abc import Iterator
from pathlib import Path

from django.contrib.auth import get_user_model
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from stockwatch.doctor.finding import Finding, failed, passed, warned

MAX_NAMES = 5
"""The most migrations that one line names."""


def check_database(is_production: bool) -> Iterator[Finding]:
    """Checks the connection to the database, then the migrations, then the accounts."""
    if (file := find_missing_file()) is not None:
        yield failed(
            "database", f"the SQLite file {file} does not exist", "run manage.py migrate, or check DATABASE_URL"
        )
        return
    try:
        connection.ensure_connection()
        yield passed("database", describe_server())
        tables = list(check_migrations())
        yield from tables
        if len(tables) == 1 and not tables[0].advice:
            yield from check_accounts(is_production)
    except DatabaseError as error:
        reason = str(error).strip().partition("\n")[0]
        yield failed("database", f"cannot be used ({reason})", "check DATABASE_URL, and that the server runs")
    finally:
        connection.close()


def find_missing_file() -> Path | None:
    """Returns the path of the SQLite file of the database if this file does not exist, otherwise None.

    Call this function before the first connection, because a connection would create the file.
    """
    name = str(connection.settings_dict["NAME"])
    is_file = connection.vendor == "sqlite" and name != ":memory:" and not name.startswith("file:")
    return Path(name) if is_file and not Path(name).exists() else None


def describe_server() -> str:
    """Returns a text with the kind, the version and the address of the database, without user and password."""
    place = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"SQLite, {place['NAME']}"
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        (version,) = cursor.fetchone()
    return f"PostgreSQL {version}, {place['NAME']} on {place['HOST'] or 'the local socket'}"


def check_migrations() -> Iterator[Finding]:
    """Compares the applied migrations with the migration files of this version. Raises DatabaseError."""
    executor = MigrationExecutor(connection)
    missing = [str(migration) for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]
    later = [f"{app}.{name}" for app, name in executor.loader.applied_migrations if _is_unknown(executor, app, name)]
    if missing:
        yield failed("migrations", f"{len(missing)} are missing ({_shorten(missing)})", "run manage.py migrate")
    if later:
        found = f"the database has {len(later)} that this version does not know ({_shorten(later)})"
        yield warned("migrations", found, "install the version that made them, or migrate back with that version")
    if not (missing or later):
        yield passed("migrations", "all are applied")


def _is_unknown(executor: MigrationExecutor, app: str, name: str) -> bool:
    loader = executor.loader
    replaced = {key for migration in loader.disk_migrations.values() for key in migration.replaces}
    return app in loader.migrated_apps and (app, name) not in loader.disk_migrations and (app, name) not in replaced


def _shorten(names: list[str]) -> str:
    return ", ".join(names[:MAX_NAMES]) + (", …" if len(names) > MAX_NAMES else "")


def check_accounts(is_production: bool) -> Iterator[Finding]:
    """Checks that an administrator exists, and that the account `demo` is not active in production.

    Raises DatabaseError.
    """
    users = get_user_model().objects.filter(is_active=True)
    if not users.filter(is_superuser=True).exists():
        yield warned("administrator", "there is none", "run manage.py createsuperuser")
    else:
        yield passed("administrator", "there is one")
    if is_production and users.filter(username="demo").exists():
        yield failed("administrator", "the user demo of a trial is active", "deactivate it in the admin")
