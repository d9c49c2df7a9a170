"""Prepares the database for `runstack`: the tables, the first tickers and the user `demo`."""

import secrets

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor

from feeds.tickers.seed import seed_demo, seed_source, seed_tickers
from feeds.tickers.starters import starters
from stockwatch.command_line import describe
from stockwatch.local.database_claim import claim_database
from stockwatch.local.stack import StackFailure

DEMO_USERNAME = "demo"


def prepare_database() -> None:
    """Brings the database tables up to date, and adds the first tickers if there is no ticker yet.

    Each source in the setting FEEDS also gets its first tickers if it has none. Raises BadTicker if a ticker or a price
    in the settings is not valid.
    """
    executor = MigrationExecutor(connection)
    # The `migrate` command takes a second even if there is nothing to do.
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", interactive=False, verbosity=0)
    if settings.RUNSTACK_TICKERS:
        seeded = seed_tickers(settings.RUNSTACK_TICKERS, settings.GENERATOR_BASE_PRICES)
    else:
        seeded = seed_demo(settings.RUNSTACK_BASE_PRICES)
    for source in settings.FEEDS:
        seed_source(source, starters(source, settings.ALPACA_FEED), replace=seeded > 0)


def reset_demo_user(production: bool) -> str:
    """Gives the user `demo` a new random password and all rights, and returns the password.

    In production, deactivates the user `demo` if there is one, and returns an empty text.
    """
    users = get_user_model()
    if production:  # The name of this user is publicly known.
        for user in users.objects.filter(username=DEMO_USERNAME):
            user.is_active = False
            user.set_unusable_password()
            user.save(update_fields=["is_active", "password"])
        return ""
    password = secrets.token_urlsafe(9)
    user, _ = users.objects.get_or_create(username=DEMO_USERNAME)
    user.is_active = user.is_staff = user.is_superuser = True
    user.set_password(password)
    user.save()
    return password


def sign_in_hint(production: bool) -> str:
    """Gives the user `demo` a new password, and returns a text that tells how to sign in.

    If another stack uses the database, the password stays, and the text refers to the output of that stack. In
    production, deactivates the user and returns an empty text.
    """
    if not production and not claim_database():  # People may use the password in the other stack.
        return f"; sign in as {DEMO_USERNAME} with the password that the first stack on this database printed"
    password = reset_demo_user(production)
    return f"; sign in as {DEMO_USERNAME} with the password {password}" if password else ""


def prepare(with_page: bool, production: bool) -> str:
    """Prepares the database, and returns a text that tells how to sign in.

    The text is empty in production, or if `with_page` is False. Raises StackFailure if the database cannot be used.
    """
    try:
        prepare_database()
        return sign_in_hint(production) if with_page else ""
    except Error as error:
        raise StackFailure(describe(error)) from error
