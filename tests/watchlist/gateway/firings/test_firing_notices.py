"""Which sockets get which firings."""

from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import async_to_sync

from feeds.models import Ticker
from tests.support.gateway.firings import FIRED_AT, make_firing, write_firing
from tests.support.gateway.sessions import make_connections, open_session, received_frames
from watchlist.alert_kinds import Channel
from watchlist.alert_models import Alert
from watchlist.gateway.connection_options import ConnectionOptions
from watchlist.gateway.database import DatabaseMonitor
from watchlist.gateway.firings import firing_notices
from watchlist.gateway.firings.firing_notices import MAX_FRAMES, FiringNotices, make_messages
from watchlist.gateway.list_changes import ListChanges
from watchlist.gateway.web_sessions import AccountSession

META = ConnectionOptions(meta=True)
NOW = datetime.fromtimestamp(FIRED_AT / 1e6, UTC)

# The look-ups close connections, which would end the transaction of a test on PostgreSQL.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connections():
    return make_connections()


@pytest.fixture
def notices(connections):
    return FiringNotices(connections, lambda: FIRED_AT)


@pytest.fixture
def read(notices):
    """Reads the database once, and sends what is new."""
    return async_to_sync(notices.read_and_send)


@pytest.fixture
def make_alert(django_user_model):
    """Returns a function that makes an alert of a new account."""
    ticker = Ticker.objects.create(symbol="AAPL", base_price=100.0)

    def make_alert(name: str, **fields) -> Alert:
        owner, _ = django_user_model.objects.get_or_create(username=name)
        return Alert.objects.create(owner=owner, ticker=ticker, kind="up", level=230.0, **fields)

    return make_alert


@pytest.fixture
def open_page(connections):
    def open_page(alert: Alert | None, options=META, room=None):
        account_session = None if alert is None else AccountSession(f"a{alert.owner_id}", alert.owner_id)
        return open_session(connections, room, options, account_session)

    return open_page


def ids_of(page) -> list[int]:
    return [frame["id"] for frame in received_frames(page) if frame["type"] == "alert"]


def test_each_page_of_the_account_gets_a_firing_once_and_no_other_page_gets_it(make_alert, open_page, read):
    alert = make_alert("ada")
    pages = [open_page(alert), open_page(alert)]
    others = [open_page(make_alert("grace")), open_page(None), open_page(alert, ConnectionOptions())]
    others.append(open_page(alert, ConnectionOptions(meta=True, shared="a" * 64)))
    read()
    firing = write_firing(alert, NOW)
    read()
    read()
    assert [ids_of(page) for page in pages] == [[firing.pk], [firing.pk]]
    assert [ids_of(page) for page in others] == [[], [], [], []]


def test_a_new_page_gets_the_firings_of_the_last_12_hours_and_then_only_new_ones(make_alert, open_page, read):
    alert = make_alert("ada")
    write_firing(alert, NOW - timedelta(hours=12, seconds=1))
    missed = write_firing(alert, NOW - timedelta(hours=11))
    page = open_page(alert)
    read()
    assert ids_of(page) == [missed.pk]
    first = write_firing(alert, NOW)
    read()
    second = open_page(alert)
    read()
    assert ids_of(page) == [missed.pk, first.pk]
    assert ids_of(second) == [missed.pk, first.pk]


def test_a_firing_that_becomes_visible_after_a_newer_one_is_sent(make_alert, open_page, read):
    alert = make_alert("ada")
    page = open_page(alert)
    read()
    newer = write_firing(alert, NOW, id=100, arming=2)
    read()
    older = write_firing(alert, NOW, id=99, arming=1)
    read()
    read()
    assert ids_of(page) == [newer.pk, older.pk]


def test_a_firing_without_a_delivery_to_pages_is_not_sent(make_alert, open_page, read):
    alert = make_alert("ada")
    page = open_page(alert)
    write_firing(alert, NOW, (Channel.EMAIL,))
    read()
    assert ids_of(page) == []


def test_many_firings_at_once_are_the_ten_newest_and_a_hint(make_alert, open_page, read):
    alert = make_alert("ada")
    page = open_page(alert)
    read()
    firings = [write_firing(alert, NOW) for _ in range(30)]
    read()
    read()
    frames = received_frames(page)
    assert [frame["id"] for frame in frames] == [firing.pk for firing in firings[-MAX_FRAMES:]]
    assert [frame["more"] for frame in frames] == [True] + [False] * 9


def test_exactly_ten_firings_have_no_hint():
    messages = make_messages([make_firing(number) for number in range(MAX_FRAMES, 0, -1)])
    assert len(messages) == MAX_FRAMES
    assert not any(b'"more":true' in message.frame for message in messages)


def test_few_frames_wait_for_a_client_that_does_not_read_and_it_gets_the_missed_ones_later(make_alert, open_page, read):
    alert = make_alert("ada")
    page = open_page(alert, room=0)
    read()
    firings = []
    for _ in range(5):
        firings += [write_firing(alert, NOW) for _ in range(3)]
        read()
    assert len(page.outbox) == 3
    page.outbox.transport.make_room()
    read()
    assert sorted(set(ids_of(page))) == [firing.pk for firing in firings[:3] + firings[-MAX_FRAMES:]]


def test_the_missed_firings_of_many_accounts_are_read_in_parts(make_alert, open_page, read, monkeypatch):
    monkeypatch.setattr(firing_notices, "MAX_NEW_ACCOUNTS", 1)
    alerts = [make_alert("ada"), make_alert("grace")]
    firings = [write_firing(alert, NOW) for alert in alerts]
    pages = [open_page(alert) for alert in alerts]
    read()
    assert [ids_of(page) for page in pages] == [[firings[0].pk], []]
    read()
    assert [ids_of(page) for page in pages] == [[firings[0].pk], [firings[1].pk]]


def test_pages_that_do_not_read_keep_no_firings_from_other_accounts(make_alert, open_page, read, monkeypatch):
    monkeypatch.setattr(firing_notices, "MAX_NEW_ACCOUNTS", 1)
    stalled, alert = make_alert("ada"), make_alert("grace")
    write_firing(stalled, NOW)
    open_page(stalled, room=0)
    read()
    read()  # the firing waits, so this page counts as new again
    page, firing = open_page(alert), write_firing(alert, NOW)
    read()
    assert ids_of(page) == [firing.pk]


def test_three_queries_serve_all_sockets(make_alert, open_page, read, django_assert_num_queries):
    alerts = [make_alert(f"person{number}") for number in range(20)]
    pages = [open_page(alert) for alert in alerts for _ in range(3)]
    read()
    firings = [write_firing(alert, NOW) for alert in alerts]
    pages.append(open_page(alerts[0]))
    with django_assert_num_queries(3):
        read()
    assert [ids_of(page) for page in pages[:60]] == [[firing.pk] for firing in firings for _ in range(3)]


def test_without_signed_in_sockets_the_database_is_not_read(open_page, read, django_assert_num_queries):
    open_page(None)
    with django_assert_num_queries(0):
        read()


def test_a_page_whose_web_session_has_ended_gets_no_firing(make_alert, open_page, connections, notices, read):
    alert = make_alert("ada")
    page = open_page(alert)
    read()
    lists = ListChanges(DatabaseMonitor(connections.announce_database), connections, then=notices.read_and_send)
    write_firing(alert, NOW)
    lists.send_changes({page.account_session}, {})
    read()
    assert ids_of(page) == []
