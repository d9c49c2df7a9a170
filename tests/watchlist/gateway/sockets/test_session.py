import pytest

from feeds.wire import Update, encode
from tests.support.gateway.sessions import action, connect, make_gateway, publish, replies, say
from watchlist.gateway.account_lists import AccountSession
from watchlist.gateway.catalog import Listing, facts_of
from watchlist.gateway.protocol import Close, ConnectionOptions


def test_an_array_subscribes_without_an_acknowledgement():
    session = connect()
    say(session, ["aapl", "XXXX"])
    assert replies(session) == []
    assert session.outbox.symbols == {"AAPL"}


def test_a_later_array_adds_symbols():
    session = connect()
    say(session, ["AAPL"])
    say(session, ["GOOG", "AAPL"])
    assert session.outbox.symbols == {"AAPL", "GOOG"}


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ("AAPL", "Invalid JSON"),
        ('["AAPL",1]', "Invalid JSON"),
        ("[]", "No valid symbols"),
        ("null", "No valid symbols"),
        ('["XXXX"]', "No valid symbols"),
    ],
)
def test_an_array_that_names_no_symbol_is_told_why_and_closed(frame, message):
    session = connect()
    say(session, frame)
    assert replies(session) == [{"error": message}]
    assert session.outbox.transport.codes == [Close.BAD_REQUESTS]


def test_an_object_in_array_mode_is_not_an_array():
    session = connect()
    say(session, ["AAPL"])
    say(session, action("ping"))
    assert replies(session) == [{"error": "Invalid JSON"}]


def test_an_array_beyond_the_symbol_limit_is_cut():
    session = connect(max_symbols=2)
    say(session, ["AAPL", "GOOG", "TSLA"])
    assert session.outbox.symbols == {"AAPL", "GOOG"}


def test_a_subscription_is_acknowledged_before_its_first_update():
    session = connect()
    other = connect(session._gateway)
    say(other, ["AAPL"])
    publish(other, "AAPL", 1)
    say(session, action("subscribe", ["AAPL", "GOOG"]))
    ack, update = replies(session)
    assert ack == {
        "type": "ack",
        "id": "1",
        "status": "success",
        "message": "Subscribed to [AAPL GOOG]",
        "symbols": ["AAPL", "GOOG"],
    }
    assert update["seq_id"] == 1


def test_unknown_symbols_are_rejected_by_name_and_the_rest_is_subscribed():
    session = connect()
    say(session, action("subscribe", ["AAPL", "XXXX"]))
    assert replies(session)[0]["rejected"] == {"XXXX": "unknown symbol"}
    assert session.outbox.symbols == {"AAPL"}


def test_a_subscription_to_nothing_new_says_which_of_both_it_is():
    session = connect()
    say(session, action("subscribe", ["XXXX"]))
    say(session, action("subscribe", ["AAPL"]))
    say(session, action("subscribe", ["AAPL", "XXXX"], "2"))
    unknown, _, held = replies(session)
    assert unknown == {"type": "error", "id": "1", "message": "No valid/new symbols provided", "code": 404}
    assert held == {"type": "error", "id": "2", "message": "No valid/new symbols provided", "code": 409}


def test_a_subscription_beyond_the_symbol_limit_is_refused_whole():
    session = connect(max_symbols=2)
    say(session, action("subscribe", ["AAPL"]))
    say(session, action("subscribe", ["GOOG", "TSLA"]))
    assert replies(session)[1]["code"] == 405
    assert session.outbox.symbols == {"AAPL"}


def test_an_unsubscription_is_acknowledged_and_nothing_of_the_symbol_follows():
    session = connect()
    say(session, action("subscribe", ["AAPL", "GOOG"]))
    say(session, action("unsubscribe", ["AAPL", "TSLA"], "2"))
    publish(session, "AAPL", 1)
    publish(session, "GOOG", 1)
    _, ack, update = replies(session)
    assert ack["message"] == "Unsubscribed from [AAPL]"
    assert ack["rejected"] == {"TSLA": "not subscribed"}
    assert update["symbol"] == "GOOG"


def test_an_unsubscription_from_what_is_not_held_is_an_error():
    session = connect()
    say(session, action("unsubscribe", ["AAPL"]))
    assert replies(session) == [{"type": "error", "id": "1", "message": "Not subscribed to: [AAPL]", "code": 404}]


def test_all_subscriptions_are_listed_and_ended_at_once():
    session = connect()
    say(session, action("subscribe", ["GOOG", "AAPL"]))
    say(session, action("list", request_id="2"))
    say(session, action("unsubscribe_all", request_id="3"))
    say(session, action("list", request_id="4"))
    _, held, ended, empty = replies(session)
    assert held["symbols"] == ["AAPL", "GOOG"]
    assert (ended["message"], ended["symbols"]) == ("Unsubscribed from all symbols", ["AAPL", "GOOG"])
    assert empty["symbols"] == []


def test_a_ping_is_answered_with_its_id_and_the_time():
    session = connect()
    say(session, action("ping", request_id="p"))
    (pong,) = replies(session)
    assert (pong["type"], pong["id"]) == ("pong", "p")
    assert pong["timestamp"] > 1_700_000_000_000_000


def test_bad_actions_are_explained_and_the_tenth_in_a_row_closes():
    session = connect(messages_burst=100)
    for number in range(9):
        say(session, "{", number)
    say(session, action("ping"), 9)
    for number in range(9):
        say(session, action("zap"), number)
    assert session.outbox.transport.codes == []
    say(session, "{", 20)
    assert session.outbox.transport.codes == [Close.BAD_REQUESTS]
    assert replies(session)[0] == {"type": "error", "message": "Invalid JSON", "code": 400}


def test_too_many_messages_are_refused_with_the_time_to_wait_but_unsubscribing_is_not():
    session = connect(messages_burst=2)
    say(session, action("subscribe", ["AAPL"]))
    say(session, action("ping"))
    say(session, action("ping", request_id="x"))
    say(session, action("unsubscribe", ["AAPL"]))
    _, _, refused, ack = replies(session)
    assert (refused["code"], refused["id"]) == (429, "x")
    assert 0 < refused["retry_after_ms"] <= 201
    assert ack["type"] == "ack"


@pytest.mark.parametrize("frame", ['{"action":"ping"}', '["AAPL"]'])
def test_twenty_refusals_within_ten_seconds_close(frame):
    session = connect(messages_burst=1)
    for _ in range(20):
        say(session, frame)
    assert session.outbox.transport.codes == []
    say(session, frame)
    assert session.outbox.transport.codes == [Close.FLOOD]


def test_refusals_far_apart_do_not_close():
    session = connect(messages_burst=1, messages_per_second=0.001)
    for number in range(60):
        say(session, '{"action":"ping"}', number * 0.6)
    assert session.outbox.transport.codes == []


@pytest.mark.parametrize("character", ["x", "é", "\U0001f600"])
def test_a_message_over_64_kilobytes_closes_and_one_byte_less_does_not(character):
    size = len(character.encode())
    fits = "[" + "x" * ((64 * 1024 - 1) % size) + character * ((64 * 1024 - 1) // size)
    assert len(fits.encode()) == 64 * 1024
    session = connect()
    say(session, fits)
    assert session.outbox.transport.codes == [Close.BAD_REQUESTS]
    session = connect()
    say(session, fits + "x")
    assert session.outbox.transport.codes == [Close.TOO_LARGE]


def test_a_binary_frame_closes():
    session = connect()
    session.receive_bytes(0.0)
    session.receive_bytes(0.0)
    assert session.outbox.transport.codes == [Close.BINARY]


def test_nothing_is_read_after_the_close():
    session = connect()
    session.close(Close.SHUTDOWN, 0.0)
    say(session, ["AAPL"])
    session.close(Close.SLOW, 0.0)
    assert session.outbox.transport.codes == [Close.SHUTDOWN]
    assert session._gateway.hub.symbols == []


def test_a_client_that_asks_nothing_for_ten_seconds_is_closed():
    session = connect()
    session.sweep(10.0)
    assert session.outbox.transport.codes == []
    session.sweep(10.1)
    assert session.outbox.transport.codes == [Close.SILENT]


def test_a_client_that_asked_may_stay_without_a_symbol():
    session = connect()
    say(session, action("ping"))
    session.sweep(50.0)
    assert session.outbox.transport.codes == []


def test_pings_go_out_and_a_missing_pong_closes_whatever_else_the_client_sends():
    session = connect()
    say(session, ["AAPL"])
    session.sweep(53.9)
    assert session.outbox.transport.pings == 0
    session.sweep(54.0)
    session.note_pong(54.1)
    session.sweep(108.0)
    assert session.outbox.transport.pings == 2
    say(session, ["GOOG"], 113.0)
    session.sweep(114.1)
    assert session.outbox.transport.codes == []
    session.sweep(114.2)
    assert session.outbox.transport.codes == [Close.NO_PONG]


def test_no_pong_is_missed_while_no_ping_could_be_sent():
    session = connect(room=0, write_wait=1000)
    say(session, ["AAPL"])
    publish(session, "AAPL", 1)
    session.sweep(200.0)
    assert (session.outbox.transport.pings, session.outbox.transport.codes) == (0, [])
    session.outbox.transport.make_room()
    session.sweep(201.0)
    assert session.outbox.transport.pings == 1


def test_a_socket_that_stays_full_is_closed_and_then_dropped():
    session = connect(room=0)
    say(session, ["AAPL"])
    publish(session, "AAPL", 1)
    session.sweep(10.0)
    assert session.outbox.transport.codes == []
    session.sweep(10.1)
    assert session.outbox.transport.codes == [Close.SLOW]
    session.sweep(11.0)
    assert not session.outbox.transport.aborted
    session.sweep(11.2)
    assert session.outbox.transport.aborted


def test_a_client_that_asks_and_never_reads_is_closed_before_its_replies_fill_the_memory():
    session = connect(room=0, messages_burst=10**6, max_symbols=10**6)
    for _ in range(3000):
        say(session, action("list"))
    assert session.outbox.transport.codes == [Close.SLOW]
    assert len(session.outbox) == 0


def test_a_page_is_told_of_its_tickers_and_of_their_changes():
    session, plain = (connect(gateway := make_gateway(), wishes=ConnectionOptions(meta=True)), connect(gateway))
    say(session, action("subscribe", ["AAPL"]))
    say(plain, action("subscribe", ["AAPL"]))
    changed = Listing("AAPL", "Apple", 11.0)
    gateway.catalog.replace([changed])
    gateway._tell_changes(facts_of([changed, Listing("GOOG", "Alphabet", 12.0)]))
    ack, ticker, change = replies(session)
    assert (ack["type"], ticker["type"], ticker["base"]) == ("ack", "ticker", 10.0)
    assert (change["symbol"], change["name"], change["base"]) == ("AAPL", "Apple", 11.0)
    assert len(replies(plain)) == 1


def make_crowd(count):
    """A gateway with so many tickers, and the listings that change all of them."""
    gateway = make_gateway(max_symbols=count)
    listings = [Listing(f"S{number}", "A name of some length", 10.0) for number in range(count)]
    gateway.catalog.replace(listings)
    return gateway, [listing.symbol for listing in listings]


def change_all(gateway, symbols, base):
    changed = gateway.catalog.replace([Listing(symbol, "A name of some length", base) for symbol in symbols])
    gateway._tell_changes(facts_of(changed))


def test_a_page_that_reads_late_gets_each_ticker_once_as_it_is_then_and_is_not_closed():
    gateway, symbols = make_crowd(1000)
    page = connect(gateway, room=0, wishes=ConnectionOptions(meta=True))
    say(page, action("subscribe", symbols))
    for base in range(20):
        change_all(gateway, symbols, base + 100.0)
    say(page, action("ping"))
    assert page.outbox.transport.codes == []
    page.outbox.transport.make_room()
    ack, pong, *tickers = replies(page)
    assert (ack["type"], pong["type"]) == ("ack", "pong")
    assert [(ticker["symbol"], ticker["base"]) for ticker in tickers] == [(symbol, 119.0) for symbol in symbols]


def test_what_pages_that_do_not_read_are_told_is_kept_once_for_all_of_them():
    gateway, symbols = make_crowd(10)
    first, second = (connect(gateway, room=0, wishes=ConnectionOptions(meta=True)) for _ in range(2))
    for page in (first, second):
        say(page, action("subscribe", symbols[:5]))
        say(page, action("unsubscribe", symbols[:1]))
    gateway._tell_service(False)
    for symbol in symbols[1:5]:
        assert first.outbox._facts[symbol] is second.outbox._facts[symbol]
    change_all(gateway, symbols, 11.0)
    assert list(first.outbox._facts) == [*symbols[1:5], "service"]
    assert all(first.outbox._facts[key] is fact for key, fact in second.outbox._facts.items())


def test_a_page_that_has_not_taken_its_lists_hears_later_how_they_are_then():
    page = connect(make_gateway(), room=0, wishes=ConnectionOptions(meta=True))
    gateway, visit = page._gateway, AccountSession("a1", 7)
    gateway._visits[page] = visit
    for version in range(1, 1000):
        gateway._tell_versions({visit}, {visit: {version: 1, 5000: version}})
    assert len(page.outbox) == 2
    page.outbox.transport.make_room()
    gateway._tell_versions({visit}, {visit: {5000: 1000}})
    told = {frame["id"]: frame["version"] for frame in replies(page)}
    assert told == {1: 0, 5000: 1000}


def test_a_heartbeat_comes_as_often_as_it_was_asked_for():
    session = connect(wishes=ConnectionOptions(heartbeat=15))
    session._beat_at = 15.0
    say(session, ["AAPL"])
    for now in range(1, 46):
        session.sweep(float(now))
    beats = replies(session)
    assert [beat["n"] for beat in beats] == [1, 2, 3]
    assert {beat["type"] for beat in beats} == {"heartbeat"}
    assert beats[0]["source"] == "simulated"
    assert beats[0]["feed_age_ms"] is None


def test_a_heartbeat_says_how_old_the_newest_price_is():
    session = connect(wishes=ConnectionOptions(heartbeat=1))
    session._beat_at = 1.0
    say(session, ["AAPL"])
    stamp = session._gateway.unix_micros() - 5_000_000
    session._gateway.hub.take(b"prices.AAPL", encode(Update("AAPL", 1.0, stamp, 1)))
    session.sweep(1.0)
    assert 5000 <= replies(session)[-1]["feed_age_ms"] < 60_000


def test_options_are_acknowledged_as_they_are_in_force():
    session = connect()
    request = action("subscribe", ["AAPL"])
    request["payload"]["options"] = {"max_hz": 4}
    say(session, request)
    assert replies(session)[0]["options"] == {"mode": "latest", "max_hz": 4.0, "snapshot": True}
    assert session.outbox.delivery.hertz == 4


def test_bad_options_are_refused_and_nothing_is_subscribed():
    session = connect()
    request = action("subscribe", ["AAPL"])
    request["payload"]["options"] = {"mode": "some"}
    say(session, request)
    assert replies(session)[0]["code"] == 400
    assert session.outbox.symbols == frozenset()


def test_a_notice_goes_to_those_who_asked_for_one():
    session, plain = connect(gateway := make_gateway(), wishes=ConnectionOptions(notice=True)), connect(gateway)
    gateway.close_all()
    (notice,) = replies(session)
    assert notice["type"] == "reconnect"
    assert 0 <= notice["retry_after_ms"] <= 1000
    assert replies(plain) == []
    assert plain.outbox.transport.codes == session.outbox.transport.codes == [Close.SHUTDOWN]
    session.send_notice(1)
    assert len(replies(session)) == 1


def test_a_ping_is_answered_with_what_it_carried():
    session = connect()
    session.receive_ping(b"hello", 0.0)
    assert session.outbox.transport.wire == b"\x8a\x05hello"


def test_pings_of_a_client_that_never_reads_fill_no_memory():
    session = connect(room=0)
    for _ in range(1000):
        session.receive_ping(b"x" * 125, 0.0)
    assert session.outbox.transport.codes == [Close.SLOW]
    assert len(session.outbox) == 0


def test_a_client_has_an_allowance_of_frames_whatever_is_in_them():
    session = connect(frames_per_second=10, frames_burst=100)
    assert all(session.receive_frame(0.0) for _ in range(100))
    assert all(session.receive_frame(0.1) for _ in range(1))
    assert not session.receive_frame(0.1)
    assert session.outbox.transport.codes == [Close.FLOOD]
    assert session._gateway.counts.refused["frame rate"] == 1
