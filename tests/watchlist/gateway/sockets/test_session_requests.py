"""The requests of one client, in array mode and in action mode."""

import pytest

from tests.support.gateway.sessions import make_connections, make_request, open_session, publish, received_frames, send
from watchlist.gateway.protocol import CloseCode


def test_an_array_subscribes_without_an_acknowledgement():
    session = open_session()
    send(session, ["aapl", "XXXX"])
    assert received_frames(session) == []
    assert session.outbox.symbols == {"AAPL"}


def test_a_later_array_adds_symbols():
    session = open_session()
    send(session, ["AAPL"])
    send(session, ["GOOG", "AAPL"])
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
def test_an_array_without_a_known_symbol_is_answered_with_the_reason_and_closed(frame, message):
    session = open_session()
    send(session, frame)
    assert received_frames(session) == [{"error": message}]
    assert session.outbox.transport.codes == [CloseCode.BAD_REQUESTS]


def test_an_object_in_array_mode_is_invalid():
    session = open_session()
    send(session, ["AAPL"])
    send(session, make_request("ping"))
    assert received_frames(session) == [{"error": "Invalid JSON"}]


def test_symbols_of_an_array_beyond_the_limit_are_left_out():
    session = open_session(max_symbols=2)
    send(session, ["AAPL", "GOOG", "TSLA"])
    assert session.outbox.symbols == {"AAPL", "GOOG"}


def test_a_subscription_is_acknowledged_before_its_first_update():
    session = open_session(connections := make_connections())
    other = open_session(connections)
    send(other, ["AAPL"])
    publish(other, "AAPL", 1)
    send(session, make_request("subscribe", ["AAPL", "GOOG"]))
    ack, update = received_frames(session)
    assert ack == {
        "type": "ack",
        "id": "1",
        "status": "success",
        "message": "Subscribed to [AAPL GOOG]",
        "symbols": ["AAPL", "GOOG"],
    }
    assert update["seq_id"] == 1


def test_unknown_symbols_are_rejected_by_name_and_the_others_are_subscribed():
    session = open_session()
    send(session, make_request("subscribe", ["AAPL", "XXXX"]))
    assert received_frames(session)[0]["rejected"] == {"XXXX": "unknown symbol"}
    assert session.outbox.symbols == {"AAPL"}


def test_the_error_code_tells_unknown_symbols_from_subscribed_ones():
    session = open_session()
    send(session, make_request("subscribe", ["XXXX"]))
    send(session, make_request("subscribe", ["AAPL"]))
    send(session, make_request("subscribe", ["AAPL", "XXXX"], "2"))
    unknown, _, held = received_frames(session)
    assert unknown == {"type": "error", "id": "1", "message": "No valid/new symbols provided", "code": 404}
    assert held == {"type": "error", "id": "2", "message": "No valid/new symbols provided", "code": 409}


def test_a_subscription_beyond_the_symbol_limit_is_refused_completely():
    session = open_session(max_symbols=2)
    send(session, make_request("subscribe", ["AAPL"]))
    send(session, make_request("subscribe", ["GOOG", "TSLA"]))
    assert received_frames(session)[1]["code"] == 405
    assert session.outbox.symbols == {"AAPL"}


def test_an_unsubscription_is_acknowledged_and_no_update_of_the_symbol_follows():
    session = open_session()
    send(session, make_request("subscribe", ["AAPL", "GOOG"]))
    send(session, make_request("unsubscribe", ["AAPL", "TSLA"], "2"))
    publish(session, "AAPL", 1)
    publish(session, "GOOG", 1)
    _, ack, update = received_frames(session)
    assert ack["message"] == "Unsubscribed from [AAPL]"
    assert ack["rejected"] == {"TSLA": "not subscribed"}
    assert update["symbol"] == "GOOG"


def test_an_unsubscription_from_symbols_that_are_not_subscribed_is_an_error():
    session = open_session()
    send(session, make_request("unsubscribe", ["AAPL"]))
    assert received_frames(session) == [
        {"type": "error", "id": "1", "message": "Not subscribed to: [AAPL]", "code": 404}
    ]


def test_all_subscriptions_can_be_listed_and_ended_with_one_request():
    session = open_session()
    send(session, make_request("subscribe", ["GOOG", "AAPL"]))
    send(session, make_request("list", request_id="2"))
    send(session, make_request("unsubscribe_all", request_id="3"))
    send(session, make_request("list", request_id="4"))
    _, held, ended, empty = received_frames(session)
    assert held["symbols"] == ["AAPL", "GOOG"]
    assert (ended["message"], ended["symbols"]) == ("Unsubscribed from all symbols", ["AAPL", "GOOG"])
    assert empty["symbols"] == []


def test_the_action_ping_is_answered_with_its_id_and_the_time():
    session = open_session()
    send(session, make_request("ping", request_id="p"))
    (pong,) = received_frames(session)
    assert (pong["type"], pong["id"]) == ("pong", "p")
    assert pong["timestamp"] > 1_700_000_000_000_000


def test_bad_requests_are_answered_with_the_reason_and_the_tenth_in_a_row_closes():
    session = open_session(messages_burst=100)
    for number in range(9):
        send(session, "{", number)
    send(session, make_request("ping"), 9)
    for number in range(9):
        send(session, make_request("zap"), number)
    assert session.outbox.transport.codes == []
    send(session, "{", 20)
    assert session.outbox.transport.codes == [CloseCode.BAD_REQUESTS]
    assert received_frames(session)[0] == {"type": "error", "message": "Invalid JSON", "code": 400}


def test_the_options_in_force_are_acknowledged():
    session = open_session()
    request = make_request("subscribe", ["AAPL"])
    request["payload"]["options"] = {"max_hz": 4}
    send(session, request)
    assert received_frames(session)[0]["options"] == {"mode": "latest", "max_hz": 4.0, "snapshot": True}
    assert session.outbox.delivery.hertz == 4


def test_bad_options_are_refused_and_nothing_is_subscribed():
    session = open_session()
    request = make_request("subscribe", ["AAPL"])
    request["payload"]["options"] = {"mode": "some"}
    send(session, request)
    assert received_frames(session)[0]["code"] == 400
    assert session.outbox.symbols == frozenset()


def test_options_for_held_symbols_are_applied_and_a_request_that_changes_nothing_is_answered_409():
    session = open_session()
    request = make_request("subscribe", ["AAPL"])
    send(session, request)
    request["payload"]["options"] = {"max_hz": 4, "snapshot": False}
    send(session, request)
    send(session, request)
    request["payload"]["options"] = {"max_hz": -1}
    send(session, request)
    _, changed, unchanged, bad = received_frames(session)
    assert (changed["type"], changed["symbols"], changed["options"]["max_hz"]) == ("ack", [], 4.0)
    assert session.outbox.delivery.hertz == 4
    assert (unchanged["code"], bad["code"]) == (409, 400)


def test_a_subscription_without_snapshot_does_not_affect_the_next_one():
    session = open_session(connections := make_connections())
    other = open_session(connections)
    send(other, ["GOOG"])
    publish(other, "GOOG", 1)
    request = make_request("subscribe", ["AAPL"])
    request["payload"]["options"] = {"snapshot": False}
    send(session, request)
    send(session, make_request("subscribe", ["GOOG"], "2"))
    assert received_frames(session)[-1].get("symbol") == "GOOG"
