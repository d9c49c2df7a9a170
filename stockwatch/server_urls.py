"""Turns the URLs of the database and of the mail server into Django's settings.

A URL may contain a password. Therefore no error message repeats a URL.
"""

import warnings
from pathlib import Path
from typing import Any

import environ

from stockwatch.environment import BadVariable

DATABASE_ALLOWED = (
    "such as sqlite:////srv/stockwatch.sqlite3 or postgres://user:password@db.example.org:5432/stockwatch,"
    " with / @ : # ? in a password written as %2F %40 %3A %23 %3F"
)
SQLITE_OPTIONS: dict[str, Any] = {
    # Several processes share the file. In WAL mode readers do not block the writer; writers wait for each other.
    "transaction_mode": "IMMEDIATE",
    "timeout": 5,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}
POSTGRES_OPTIONS: dict[str, Any] = {
    # Time limits for a server that accepts connections without answering, and for a machine that is down. Each request
    # opens a new connection, so a restart of the server breaks none. DATABASE_URL can override the options.
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


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
