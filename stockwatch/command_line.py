"""Runs management commands, and reports an unusable database in one line."""

import re
import sys
from collections.abc import Sequence

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.db import Error, InterfaceError, OperationalError, ProgrammingError, connection

from stockwatch.doctor.finding import failed, format_findings

RETRYING_COMMANDS = ("runalerts", "rundelivery", "rungateway", "runfeed", "runkafkagen", "runrecorder")
"""The commands that wait until the database answers.

Before such a command, `run` checks that the database does not refuse access.
"""
UNLIMITED_COMMANDS = ("backfill", "dbshell", "dumpdata", "loaddata", "migrate", "purge", "shell")
"""The commands whose queries may take longer than DATABASE_STATEMENT_TIMEOUT."""
REFUSALS = re.compile(
    "password authentication failed|no password supplied|no pg_hba.conf entry|pg_hba.conf rejects connection"
    "|is not permitted to log in"
    "|(role|database) .* does not exist|permission denied for database|unable to open database file"
    "|invalid connection option|invalid [a-z_]+ value|unsupported startup parameter|no such (user|database)"
    "|server does not support SSL|certificate|private key file|SASL authentication failed"
)


def run(arguments: Sequence[str]) -> None:
    """Runs a management command. `arguments` are the arguments of `manage.py`.

    Raises SystemExit with one line if the database cannot be used. With `--traceback`, raises the error itself.
    """
    if arguments[1:2] == ["doctor"]:
        require_settings("--json" in arguments)
    try:
        if arguments[1:2] and arguments[1] in RETRYING_COMMANDS and "--worker" not in arguments:
            django.setup()
            require_access()
        if arguments[1:2] and arguments[1] in UNLIMITED_COMMANDS:
            django.setup()
            lift_statement_timeout()
        execute_from_command_line(list(arguments))
    except (OperationalError, InterfaceError, ProgrammingError) as error:
        if "--traceback" in arguments:
            raise
        raise SystemExit(f"stockwatch: {describe(error)}") from error


def require_settings(as_json: bool) -> None:
    """Ends `manage.py doctor` with one failed result if a setting is not valid: all checks need valid settings."""
    try:
        settings.configured or settings.APP_ENV  # noqa: B018 - reads the settings
    except SystemExit as error:
        advice = "correct the setting: the other checks need all settings"
        finding = failed("settings", str(error).removeprefix("stockwatch: "), advice)
        sys.stdout.write(format_findings([finding], as_json) + "\n")
        raise SystemExit(1) from error


def lift_statement_timeout() -> None:
    """Removes the time limit of queries from all PostgreSQL connections that this process opens later."""
    options = connection.settings_dict["OPTIONS"]
    if "statement_timeout" in options.get("options", ""):
        options["options"] += " -c statement_timeout=0"  # overrides the earlier value of the same option


def require_access() -> None:
    """Raises the database's error if the database refuses access. A database that does not answer raises no error."""
    try:
        connection.ensure_connection()
    except (OperationalError, ProgrammingError) as error:
        if REFUSALS.search(str(error)):
            raise
    finally:
        connection.close()


def describe(error: Error) -> str:
    """Returns one line that says what is wrong with the database and what to do."""
    reason = str(error).strip().partition("\n")[0]
    return f"the database cannot be used ({reason}): check DATABASE_URL, and that `manage.py migrate` was run"
