"""Changes the database of a gateway process from outside, as the admin does."""

import os
import sqlite3
import subprocess
import sys

from tests.support.gateway.process import ROOT

OTHER_SESSION = "w" * 32


def execute(gateway, statement):
    """Executes SQL in the gateway's database."""
    with sqlite3.connect(gateway.database, timeout=60) as database:
        database.execute(statement)
    database.close()


def make_token(gateway, *scopes):
    """Creates an account, whose name is new, with a personal token with these scopes, or all. Returns the token."""
    return _run_code(
        gateway,
        "import uuid\n"
        "from django.contrib.auth import get_user_model\n"
        "from django.utils import timezone\n"
        "from watchlist.accounts.tokens import SCOPES, create_token\n"
        "user = get_user_model().objects.create_user(uuid.uuid4().hex)\n"
        f"print(create_token(user, 'test', {list(scopes)} or list(SCOPES), timezone.now()))\n",
    ).strip()


def revoke_tokens(gateway):
    """Revokes all tokens, as their owners do on the page."""
    execute(gateway, "UPDATE watchlist_apitoken SET revoked = '2026-01-01 00:00:00'")


def sign_in(gateway):
    """Creates an account with a list. Returns the headers of a signed-in request, and the id of the list."""
    code = (
        "from django.conf import settings\n"
        "from django.contrib.auth import get_user_model, login\n"
        "from django.contrib.sessions.backends.db import SessionStore\n"
        "from django.http import HttpRequest\n"
        "from watchlist.models import Watchlist\n"
        "user = get_user_model().objects.create_user('demo', password='a long and private phrase')\n"
        "request = HttpRequest(); request.session = SessionStore()\n"
        "login(request, user, settings.AUTHENTICATION_BACKENDS[0]); request.session.save()\n"
        "print(request.session.session_key, Watchlist.objects.create(owner=user, name='Main').pk)\n"
    )
    key, number = _run_code(gateway, code).split()
    return {"Cookie": f"sessionid={key}", "Origin": f"http://{gateway.address}"}, int(number)


def copy_session(gateway, headers):
    """Signs the account in once more. Returns the headers of the new session."""
    copied = f"SELECT '{OTHER_SESSION}', session_data, expire_date FROM django_session"
    execute(gateway, f"INSERT INTO django_session (session_key, session_data, expire_date) {copied}")
    return headers | {"Cookie": f"sessionid={OTHER_SESSION}"}


def end_other_sessions(gateway):
    """Signs out all sessions except that of `copy_session`."""
    execute(gateway, f"DELETE FROM django_session WHERE session_key <> '{OTHER_SESSION}'")


def fire_alert(gateway):
    """Makes an alert on AAPL for the account of `sign_in`, and writes a firing of it. Returns the id of the firing."""
    code = (
        "from django.contrib.auth import get_user_model\n"
        "from feeds.models import Ticker\n"
        "from tests.support.gateway.firings import write_firing\n"
        "from watchlist.alert_models import Alert\n"
        "owner = get_user_model().objects.get(username='demo')\n"
        "ticker = Ticker.objects.get(symbol='AAPL')\n"
        "print(write_firing(Alert.objects.create(owner=owner, ticker=ticker, kind='up', level=230.0)).pk)\n"
    )
    return int(_run_code(gateway, code))


def _run_code(gateway, code):
    """Runs Python code with the gateway's database. Returns what the code prints."""
    return subprocess.run(
        [sys.executable, "manage.py", "shell", "-v0", "-c", code],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": f"sqlite:///{gateway.database}"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
