"""What a new machine needs before it shows something: the tables, some tickers, and the user `demo`."""

import secrets

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor

from feeds.tickers.seed import seed_demo
from stockwatch.local.stack import StackFailure

DEMO = "demo"


def prepare_database() -> None:
    """Migrates where something is left to migrate, and fills an empty table of tickers."""
    executor = MigrationExecutor(connection)
    # Django's own command takes a second to find out that there is nothing to do.
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", interactive=False, verbosity=0)
    seed_demo()


def renew_demo(production: bool) -> str:
    """Gives the staff user `demo` a new random password and returns it.

    In production a known name with rights must not be usable: the user, where there is one, is switched off, and the
    result is empty.
    """
    users = get_user_model()
    if production:
        for user in users.objects.filter(username=DEMO):
            user.is_active = False
            user.set_unusable_password()
            user.save(update_fields=["is_active", "password"])
        return ""
    password = secrets.token_urlsafe(9)
    user, _ = users.objects.get_or_create(username=DEMO)
    user.is_active = user.is_staff = user.is_superuser = True
    user.set_password(password)
    user.save()
    return password


def invite(production: bool) -> str:
    """The words that follow the page's address: who may sign in, with what."""
    password = renew_demo(production)
    return f"; sign in as {DEMO} with the password {password}" if password else ""


def prepare(page: bool, production: bool) -> str:
    """All of it; returns the invitation, empty where there is no `page` to be invited to.

    Raises StackFailure when the database cannot be used.
    """
    try:
        prepare_database()
        return invite(production) if page else ""
    except Error as error:
        words = str(error).strip().partition("\n")[0]
        raise StackFailure(f"the database cannot be used ({words}): see DATABASE_URL") from error
