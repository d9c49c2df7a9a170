"""Turns the settings of the database and of the mail server into Django's settings.

A URL may contain a password. Therefore no error message repeats a URL.
"""

import warnings
from pathlib import Path
from typing import Any

import environ

from stockwatch.environment import BadVariable, Environment

DATABASE_ALLOWED = (
    "such as sqlite:////srv/stockwatch.sqlite3 or postgres://user:password@db.example.org:5432/stockwatch,"
    " with / @ : # ? [ ] in a password written as %2F %40 %3A %23 %3F %5B %5D"
)
SQLITE_OPTIONS: dict[str, Any] = {
    # Several processes share the file. In WAL mode readers do not block the writer; writers wait for each other.
    "transaction_mode": "IMMEDIATE",
    "timeout": 5,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}
POSTGRES_OPTIONS: dict[str, Any] = {
    # Time limits for a server that accepts connections without answering, and for a machine that is down. DATABASE_URL
    # can override the options.
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
TLS_FILES = {"sslrootcert": "DATABASE_CA_FILE", "sslcert": "DATABASE_CERT_FILE", "sslkey": "DATABASE_KEY_FILE"}
ONLY_POSTGRES = "not set, or DATABASE_URL must begin with postgres://"


def read_database(env: Environment, folder: Path) -> dict[str, Any]:
    """Returns Django's settings for the database that the variables `DATABASE_…` describe. Raises BadVariable.

    `folder` is where a relative path of an SQLite file starts.
    """
    database = read_database_url(env.text("DATABASE_URL", "sqlite:///db.sqlite3"), folder)
    is_postgres = database["ENGINE"].endswith(".postgresql")
    tls, limits, connections = _read_tls(env), _read_limits(env), _read_connections(env)
    if is_postgres:
        return _add_options(database | connections, tls | limits)
    for name in TLS_FILES.values():
        if tls and env.is_set(name):
            raise BadVariable(name, "…", ONLY_POSTGRES)
    if connections["DISABLE_SERVER_SIDE_CURSORS"]:
        raise BadVariable("DATABASE_PGBOUNCER", "true", ONLY_POSTGRES)
    return database


def read_pool_size(env: Environment, database: dict[str, Any]) -> int:
    """Returns how many connections to PostgreSQL a gateway process keeps; 0 means that each request opens its own.

    `database` holds Django's settings for the database. Raises BadVariable.
    """
    size = env.integer("DATABASE_POOL_SIZE", 0, maximum=1000)
    if size == 1:  # the process keeps one connection for its own readings
        raise BadVariable("DATABASE_POOL_SIZE", "1", "0, or a whole number from 2 to 1000")
    if size and not database["ENGINE"].endswith(".postgresql"):
        raise BadVariable("DATABASE_POOL_SIZE", str(size), ONLY_POSTGRES)
    return size


def _read_tls(env: Environment) -> dict[str, str]:
    """Returns the TLS options of libpq.

    If DATABASE_CA_FILE is set, libpq verifies the certificate and the host name of the server.
    """
    files = {option: env.text(name) for option, name in TLS_FILES.items()}
    if bool(files["sslcert"]) != bool(files["sslkey"]):
        raise BadVariable("DATABASE_CERT_FILE", files["sslcert"], "set together with DATABASE_KEY_FILE")
    given = {option: path for option, path in files.items() if path}
    if not given:
        return {}
    return {"sslmode": "verify-full" if files["sslrootcert"] else "require", **given}


def _read_limits(env: Environment) -> dict[str, str]:
    """Returns the option that makes PostgreSQL end long queries; {} with pgbouncer or without a time limit."""
    name = "DATABASE_STATEMENT_TIMEOUT"
    limit = env.duration(name, "30s", minimum="0s", maximum="24h")
    if not env.boolean("DATABASE_PGBOUNCER"):
        return {"options": f"-c statement_timeout={round(limit.total_seconds() * 1000)}"} if limit else {}
    if env.is_set(name) and limit:
        rule = "not set with DATABASE_PGBOUNCER=true: limit the role by ALTER ROLE … SET statement_timeout = '30s'"
        raise BadVariable(name, env.text(name, "30s"), rule)
    return {}


def _read_connections(env: Environment) -> dict[str, Any]:
    """Returns how long a thread keeps a connection, and whether queries must not use server-side cursors."""
    return {
        # Matters only for threads that run as long as their process, because each request closes its connection when it
        # ends.
        "CONN_MAX_AGE": env.duration("DATABASE_CONN_MAX_AGE", "60s", minimum="0s", maximum="24h").total_seconds(),
        "CONN_HEALTH_CHECKS": True,
        # In its transaction mode, pgbouncer may send the next query of a cursor over another connection, which does not
        # have the cursor.
        "DISABLE_SERVER_SIDE_CURSORS": env.boolean("DATABASE_PGBOUNCER"),
    }


def _add_options(database: dict[str, Any], added: dict[str, str]) -> dict[str, Any]:
    """Returns the settings of a database with the options `added`. The options in DATABASE_URL have priority."""
    options = dict(database["OPTIONS"])
    if "options" in options and "options" in added:
        options["options"] = f"{added['options']} {options['options']}"  # the last value counts
    return database | {"OPTIONS": added | options}


def read_database_url(url: str, folder: Path) -> dict[str, Any]:
    """Returns Django's settings for the database at `url`. Raises BadVariable if the URL is not valid.

    A relative path of an SQLite file starts at `folder`.
    """
    database = _parse_database_url(url)
    engine = str(database.get("ENGINE", ""))
    if engine.endswith(".sqlite3"):
        return _complete_sqlite(database, folder)
    options = database.get("OPTIONS", {})
    if not engine.endswith(".postgresql") or not (database.get("NAME") or options.get("service")):
        raise BadVariable("DATABASE_URL", "…", DATABASE_ALLOWED)
    return database | {"OPTIONS": POSTGRES_OPTIONS | options}


def _parse_database_url(url: str) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the warnings repeat the value
            database: dict[str, Any] = environ.Env.db_url_config(url)
    except (environ.ImproperlyConfigured, KeyError, ValueError):
        return {}
    return database


def _complete_sqlite(database: dict[str, Any], folder: Path) -> dict[str, Any]:
    if database.get("HOST"):  # sqlite://name has two slashes: SQLite would use memory, and lose it at the end
        raise BadVariable("DATABASE_URL", "…", DATABASE_ALLOWED)
    name = str(database["NAME"])
    if name != ":memory:":
        # Commands may start in any folder, and all must use the same file. An absolute name stays as it is.
        name = str(folder / name)
    return database | {"NAME": name, "OPTIONS": SQLITE_OPTIONS}


def read_email_url(url: str) -> dict[str, Any]:
    """Returns Django's settings for the mail server at `url`, as a dict from name to value.

    Raises BadVariable if the URL is not valid.
    """
    try:
        mail: dict[str, Any] = environ.Env.email_url_config(url)
    except (environ.ImproperlyConfigured, KeyError, ValueError) as error:
        raise BadVariable("EMAIL_URL", "…", "such as smtp+tls://user:password@mail.example.org:587") from error
    return {
        "EMAIL_BACKEND": mail["EMAIL_BACKEND"],
        "EMAIL_HOST": mail["EMAIL_HOST"] or "localhost",
        "EMAIL_PORT": mail["EMAIL_PORT"] or 25,
        "EMAIL_HOST_USER": mail["EMAIL_HOST_USER"] or "",
        "EMAIL_HOST_PASSWORD": mail["EMAIL_HOST_PASSWORD"] or "",
        "EMAIL_USE_TLS": bool(mail.get("EMAIL_USE_TLS")),
        "EMAIL_USE_SSL": bool(mail.get("EMAIL_USE_SSL")),
    }
