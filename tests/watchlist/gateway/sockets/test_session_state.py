"""What a client receives without a request: tickers, lists, heartbeats and notices."""

from feeds.wire import Update, encode
from tests.support.gateway.sessions import make_connections, make_request, open_session, received_frames, send
from watchlist.gateway.catalog import Listing
from watchlist.gateway.connection_options import ConnectionOptions
from watchlist.gateway.database import DatabaseMonitor
from watchlist.gateway.list_changes import ListChanges
from watchlist.gateway.protocol import CloseCode
from watchlist.gateway.ticker_changes import TickerChanges
from watchlist.gateway.web_sessions import AccountSession

META = ConnectionOptions(meta=True)


async def load_no_tickers():
    return []


def make_ticker_changes(connections):
    database = DatabaseMonitor(connections.announce_database)
    return TickerChanges(connections.context.catalog, load_no_tickers, database, connections, list)


def make_list_changes(connections):
    return ListChanges(DatabaseMonitor(connections.announce_database), connections)


def test_a_client_with_meta_receives_its_tickers_and_their_changes():
    session, plain = open_session(connections := make_connections(), options=META), open_session(connections)
    send(session, make_request("subscribe", ["AAPL"]))
    send(plain, make_request("subscribe", ["AAPL"]))
    changed = Listing("AAPL", "Apple", 11.0)
    connections.context.catalog.replace([changed])
    make_ticker_changes(connections).send_changes([changed, Listing("GOOG", "Alphabet", 12.0)])
    ack, ticker, change = received_frames(session)
    assert (ack["type"], ticker["type"], ticker["base"]) == ("ack", "ticker", 10.0)
    assert (change["symbol"], change["name"], change["base"]) == ("AAPL", "Apple", 11.0)
    assert len(received_frames(plain)) == 1


def make_connections_with_tickers(count):
    """Returns connections with so many tickers, and their symbols."""
    connections = make_connections(max_symbols=count)
    listings = [Listing(f"S{number}", "A name of some length", 10.0) for number in range(count)]
    connections.context.catalog.replace(listings)
    return connections, [listing.symbol for listing in listings]


def change_base_prices(connections, symbols, base):
    listings = [Listing(symbol, "A name of some length", base) for symbol in symbols]
    make_ticker_changes(connections).send_changes(connections.context.catalog.replace(listings))


def test_a_client_that_reads_late_receives_the_newest_of_each_ticker_and_is_not_closed():
    connections, symbols = make_connections_with_tickers(1000)
    page = open_session(connections, room=0, options=META)
    send(page, make_request("subscribe", symbols))
    for base in range(20):
        change_base_prices(connections, symbols, base + 100.0)
    send(page, make_request("ping"))
    assert page.outbox.transport.codes == []
    page.outbox.transport.make_room()
    ack, pong, *tickers = received_frames(page)
    assert (ack["type"], pong["type"]) == ("ack", "pong")
    assert [(ticker["symbol"], ticker["base"]) for ticker in tickers] == [(symbol, 119.0) for symbol in symbols]


def test_waiting_state_messages_are_shared_by_all_sockets():
    connections, symbols = make_connections_with_tickers(10)
    first, second = (open_session(connections, room=0, options=META) for _ in range(2))
    for page in (first, second):
        send(page, make_request("subscribe", symbols[:5]))
        send(page, make_request("unsubscribe", symbols[:1]))
    connections.announce_database(False)
    for symbol in symbols[1:5]:
        assert first.outbox._states[symbol] is second.outbox._states[symbol]
    change_base_prices(connections, symbols, 11.0)
    assert list(first.outbox._states) == [*symbols[1:5], "service"]
    assert all(first.outbox._states[key] is message for key, message in second.outbox._states.items())


def test_a_client_that_reads_late_receives_the_newest_state_of_each_list():
    account_session = AccountSession("a1", 7)
    page = open_session(connections := make_connections(), room=0, options=META, account_session=account_session)
    list_changes = make_list_changes(connections)
    for version in range(1, 1000):
        list_changes.send_changes({account_session}, {account_session: {version: 1, 5000: version}})
    assert len(page.outbox) == 2
    page.outbox.transport.make_room()
    list_changes.send_changes({account_session}, {account_session: {5000: 1000}})
    versions = {frame["id"]: frame["version"] for frame in received_frames(page)}
    assert versions == {1: 0, 5000: 1000}


def test_a_client_whose_web_session_ended_receives_no_more_lists():
    account_session = AccountSession("a1", 7)
    page = open_session(connections := make_connections(), options=META, account_session=account_session)
    list_changes = make_list_changes(connections)
    list_changes.send_changes({account_session}, {account_session: {1: 1}})
    list_changes.send_changes({account_session}, {})
    list_changes.send_changes({account_session}, {account_session: {1: 2}})
    assert received_frames(page) == [{"type": "list", "id": 1, "version": 1}]
    assert page.account_session is None


def test_heartbeats_come_at_the_requested_interval():
    session = open_session(options=ConnectionOptions(heartbeat=15))
    send(session, ["AAPL"])
    for now in range(1, 46):
        session.sweep(float(now))
    heartbeats = received_frames(session)
    assert [heartbeat["n"] for heartbeat in heartbeats] == [1, 2, 3]
    assert {heartbeat["type"] for heartbeat in heartbeats} == {"heartbeat"}
    assert heartbeats[0]["source"] == "simulated"
    assert heartbeats[0]["feed_age_ms"] is None


def test_a_heartbeat_has_the_age_of_the_newest_update():
    session = open_session(options=ConnectionOptions(heartbeat=1))
    send(session, ["AAPL"])
    stamp = session.context.clock.unix_micros() - 5_000_000
    session.context.hub.receive(b"prices.AAPL", encode(Update("AAPL", 1.0, stamp, 1)))
    session.sweep(1.0)
    assert 5000 <= received_frames(session)[-1]["feed_age_ms"] < 60_000


def test_the_age_of_a_feed_whose_clock_is_ahead_is_unknown():
    session = open_session(options=ConnectionOptions(heartbeat=1))
    send(session, ["AAPL"])
    stamp = session.context.clock.unix_micros() + 1
    session.context.hub.receive(b"prices.AAPL", encode(Update("AAPL", 1.0, stamp, 1)))
    session.sweep(1.0)
    assert received_frames(session)[-1]["feed_age_ms"] is None


def test_a_reconnect_notice_is_sent_to_clients_that_requested_it():
    session, plain = (
        open_session(connections := make_connections(), options=ConnectionOptions(notice=True)),
        open_session(connections),
    )
    connections.drain()
    (notice,) = received_frames(session)
    assert notice["type"] == "reconnect"
    assert 0 <= notice["retry_after_ms"] <= 1000
    assert received_frames(plain) == []
    assert plain.outbox.transport.codes == session.outbox.transport.codes == [CloseCode.SHUTDOWN]
    session.send_reconnect_notice(1)
    assert len(received_frames(session)) == 1
