"""Sockets of shared lists: changes of the list, and the end of the link."""

import asyncio

import pytest
from asgiref.sync import async_to_sync
from websockets.exceptions import InvalidStatus

from tests.support.gateway.process import receive_close_code
from tests.support.gateway.sessions import make_connections, open_session, received_frames
from tests.support.waiting import until
from watchlist.gateway import shared_list_changes
from watchlist.gateway.connection_options import ConnectionOptions, parse_query
from watchlist.gateway.database import DatabaseMonitor
from watchlist.gateway.list_changes import ListChanges
from watchlist.gateway.protocol import BadRequest, CloseCode
from watchlist.gateway.shared_list_changes import SharedListChanges, read_shared_versions
from watchlist.gateway.web_sessions import AccountSession
from watchlist.models import ShareLink, Watchlist

FIRST, SECOND = "a" * 64, "b" * 64


@pytest.fixture
def connections():
    return make_connections()


@pytest.fixture
def changes(connections):
    return SharedListChanges(DatabaseMonitor(connections.announce_database), connections)


def frame(version):
    return {"type": "list", "id": 0, "version": version}


def test_a_page_gets_the_version_of_its_list_once(connections, changes):
    first, second, other = (
        open_session(connections, options=ConnectionOptions(meta=True, shared=shared)) for shared in (FIRST, SECOND, "")
    )
    for version in (3, 3, 4):
        changes.send_changes({FIRST, SECOND}, {FIRST: version, SECOND: 1})
    assert received_frames(first) == [frame(3), frame(4)]
    assert received_frames(second) == [frame(1)]
    assert received_frames(other) == []


def test_the_socket_of_a_revoked_link_is_closed(connections, changes):
    revoked, valid, later = (
        open_session(connections, options=ConnectionOptions(shared=shared)) for shared in (FIRST, SECOND, "c" * 64)
    )
    changes.send_changes({FIRST, SECOND}, {SECOND: 1})
    changes.send_changes({FIRST, SECOND}, {SECOND: 1})
    assert revoked.outbox.transport.codes == [CloseCode.LINK_REVOKED] == [4510]
    assert revoked.closing_since
    assert not valid.closing_since
    assert not later.closing_since  # connected after the database was read


def test_a_socket_of_a_shared_list_gets_no_lists_of_its_account(connections, changes):
    account_session = AccountSession("a1", 7)
    options = ConnectionOptions(meta=True, shared=FIRST)
    session = open_session(connections, options=options, account_session=account_session)
    lists = ListChanges(DatabaseMonitor(connections.announce_database), connections)
    lists.send_changes({account_session}, {account_session: {3: 1}})
    assert received_frames(session) == []
    changes.send_changes({FIRST}, {FIRST: 2})
    assert received_frames(session) == [frame(2)]


# The look-ups close connections, which would end the transaction of a test on PostgreSQL.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("end", ["revoked", "replaced", "list deleted", "account deleted", "account deactivated"])
def test_a_link_ends_with_its_row_its_list_and_its_account(django_user_model, end):
    owner = django_user_model.objects.create_user("demo")
    shared = Watchlist.objects.create(owner=owner, name="Main", version=5)
    link = ShareLink.objects.create(watchlist=shared, token_hash=FIRST)
    assert async_to_sync(read_shared_versions)([FIRST, SECOND]) == {FIRST: 5}
    if end == "revoked":
        link.delete()
    elif end == "replaced":
        ShareLink.objects.update(token_hash=SECOND)
    elif end == "list deleted":
        shared.delete()
    elif end == "account deleted":
        owner.delete()
    else:
        django_user_model.objects.update(is_active=False)
    assert async_to_sync(read_shared_versions)([FIRST]) == {}


async def test_shared_lists_are_read_again_and_again_but_not_during_an_outage(connections, changes, monkeypatch):
    versions = {FIRST: 1}
    reads = []

    async def read_shared_versions(token_hashes):
        reads.append(token_hashes)
        if len(reads) == 1:
            raise OSError("the database failed")
        return dict(versions)

    monkeypatch.setattr(shared_list_changes, "READ_SECONDS", 0.001)
    monkeypatch.setattr(shared_list_changes, "read_shared_versions", read_shared_versions)
    session = open_session(connections, options=ConnectionOptions(shared=FIRST))
    following = asyncio.ensure_future(changes.follow())
    await until(lambda: received_frames(session) == [frame(1)])
    versions.clear()
    await until(lambda: session.closing_since)
    following.cancel()
    assert set(map(frozenset, reads)) == {frozenset({FIRST})}


def test_the_hash_of_a_link_is_read_from_the_query():
    assert parse_query(f"meta=1&shared={FIRST}".encode()) == ConnectionOptions(meta=True, shared=FIRST)
    assert parse_query(f"shared={FIRST}&heartbeat=5".encode()).shared == FIRST
    assert parse_query(b"meta=1").shared == ""


@pytest.mark.parametrize("value", ["", "a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 63 + "%0A", "a" * 60_000])
def test_a_value_that_is_no_hash_is_refused(value):
    with pytest.raises(BadRequest):
        parse_query(f"shared={value}".encode())


@pytest.mark.usefixtures("redis_client")
@pytest.mark.parametrize("command", ["rungateway", "uvicorn"])
def test_a_server_closes_the_socket_of_a_link_that_does_not_exist(run_gateway, command):
    gateway = run_gateway(command)
    with gateway.connect(f"?meta=1&shared={FIRST}") as client:
        assert receive_close_code(client) == 4510
    with pytest.raises(InvalidStatus) as caught, gateway.connect("?shared=x"):
        pass
    assert caught.value.response.status_code == 400


@pytest.mark.usefixtures("redis_client")
def test_a_private_server_accepts_no_visitor_with_a_link(run_gateway):
    gateway = run_gateway("rungateway", PRIVATE="true")
    with pytest.raises(InvalidStatus) as caught, gateway.connect(f"?meta=1&shared={FIRST}"):
        pass
    assert caught.value.response.status_code == 401
