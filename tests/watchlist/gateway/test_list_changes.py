"""The accounts behind sockets: when their sessions end, and when they could not be looked up."""

import asyncio
import json

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth import login
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest

from tests.support.gateway.fakes import FakeTransport
from tests.support.gateway.sessions import make_connections, open_session, received_frames
from tests.support.gateway.streams import parse_events
from tests.support.waiting import until
from watchlist.gateway import list_changes
from watchlist.gateway.connection_options import ConnectionOptions
from watchlist.gateway.database import DatabaseMonitor
from watchlist.gateway.limits import Limits
from watchlist.gateway.list_changes import ListChanges, read_versions
from watchlist.gateway.sockets.admission import Admission, Admitted
from watchlist.gateway.streams.stream_query import StreamQuery
from watchlist.gateway.streams.stream_session import open_stream
from watchlist.gateway.web_sessions import AccountSession, find_account_session
from watchlist.models import Watchlist

META = ConnectionOptions(meta=True)


@pytest.fixture
def account(django_user_model):
    return django_user_model.objects.create_user("demo", password="a long and private phrase")


@pytest.fixture
def account_session(account):
    """The session of a signed-in page."""
    request = HttpRequest()
    request.session = SessionStore()
    login(request, account, settings.AUTHENTICATION_BACKENDS[0])
    request.session.save()
    return async_to_sync(find_account_session)(request.session.session_key)


# The look-ups close connections, which would end the transaction of a test on PostgreSQL.
@pytest.mark.django_db(transaction=True)
def test_the_lists_of_a_valid_session_are_read(account, account_session):
    listed = Watchlist.objects.create(owner=account, name="Main")
    assert async_to_sync(read_versions)([account_session]) == {account_session: {listed.pk: listed.version}}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", ["password", "deactivation", "deletion", "sign-out"])
def test_a_session_ends_with_its_row_its_password_and_its_account(account, account_session, change):
    if change == "password":
        account.set_password("another long and private phrase")
        account.save()
    elif change == "deactivation":
        account.is_active = False
        account.save()
    elif change == "deletion":
        account.delete()
    else:
        SessionStore(account_session.key).delete()
    assert async_to_sync(read_versions)([account_session]) == {}


@pytest.fixture
def connections():
    return make_connections()


@pytest.fixture
def database(connections):
    return DatabaseMonitor(connections.announce_database)


async def test_during_an_outage_no_account_is_looked_up_and_the_key_is_kept(connections, database):
    async def start():
        pytest.fail("an account is looked up without starting the gateway")

    database.available = False
    admission = Admission(Limits(), connections, database, start)
    assert await admission.find_account("a1") == (None, "a1")


async def test_a_page_that_connected_during_an_outage_receives_its_lists_after_it(connections, database, monkeypatch):
    account_session = AccountSession("a1", 7)
    looked_up = []

    async def find_account_session(key):
        looked_up.append(key)
        return account_session

    async def read_versions(account_sessions):
        return {account_session: {3: 1} for account_session in account_sessions}

    monkeypatch.setattr(list_changes, "READ_SECONDS", 0.001)
    monkeypatch.setattr(list_changes, "find_account_session", find_account_session)
    monkeypatch.setattr(list_changes, "read_versions", read_versions)
    page, ended = (open_session(connections, options=META, unverified_key="a1") for _ in range(2))
    connections.end(ended)
    following = asyncio.ensure_future(ListChanges(database, connections).follow())
    await until(lambda: received_frames(page))
    following.cancel()
    assert received_frames(page) == [{"type": "list", "id": 3, "version": 1}]
    assert received_frames(ended) == []
    assert looked_up == ["a1"]


async def test_a_stream_of_an_account_receives_its_lists_as_events(connections, database, monkeypatch):
    account_session = AccountSession("a1", 7)

    async def read_versions(account_sessions):
        return {account_session: {3: 1} for account_session in account_sessions}

    monkeypatch.setattr(list_changes, "READ_SECONDS", 0.001)
    monkeypatch.setattr(list_changes, "read_versions", read_versions)
    admitted = Admitted(ConnectionOptions(), "", account_session)
    transport = FakeTransport()
    open_stream(connections, transport, admitted, StreamQuery(("AAPL",), meta=True))
    following = asyncio.ensure_future(ListChanges(database, connections).follow())
    await until(lambda: b'"list"' in transport.wire)
    following.cancel()
    events = parse_events(transport.wire.decode())
    assert [json.loads(event.data) for event in events if '"list"' in event.data] == [
        {"type": "list", "id": 3, "version": 1}
    ]
