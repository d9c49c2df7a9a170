import pytest

from feeds.wire import DAY_US, Update, encode
from tests.support.cases import read_cases, to_accepted
from tests.support.gateway.hub import HubHarness, received_updates
from tests.support.times import START, at
from watchlist.gateway.fanout.hub import COHORT_FLUSH_SECONDS, FLUSH_SECONDS, MAX_FLUSH_SECONDS

CASES = read_cases("newer_than")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['update']} than {case['than']}")
def test_an_update_is_sent_only_if_it_is_newer(case):
    harness = HubHarness()
    socket = harness.open_socket("AAPL")
    if case["than"] is not None:
        timestamp, seq_id = to_accepted(case["than"])
        harness.publish("AAPL", seq_id, timestamp=timestamp)
    harness.run_timers()
    before = len(received_updates(socket))
    timestamp, seq_id = to_accepted(case["update"])
    harness.publish("AAPL", seq_id, timestamp=timestamp)
    harness.run_timers()
    assert (len(received_updates(socket)) > before) is case["newer"]


def test_an_update_reaches_all_sockets_of_its_symbol_and_no_other():
    harness = HubHarness()
    first, second, other = (
        harness.open_socket("AAPL"),
        harness.open_socket("AAPL", "BRK.B"),
        harness.open_socket("BRK.B"),
    )
    harness.publish("AAPL", 1)
    harness.run_timers()
    assert (received_updates(first), received_updates(second), received_updates(other)) == (
        [("AAPL", 1)],
        [("AAPL", 1)],
        [],
    )


def test_a_flush_is_delayed_longer_if_the_last_one_had_many_cohorts():
    harness = HubHarness()
    for number in range(2000):
        harness.open_socket("AAPL", f"S{number}")
    harness.open_socket("GOOG")
    for seq, symbol in enumerate(["AAPL", "AAPL", "GOOG", "AAPL"], 1):
        harness.publish(symbol, seq)
        harness.run_timers()
    harness.publish("AAPL", 9)
    assert harness.delays == [
        FLUSH_SECONDS,
        MAX_FLUSH_SECONDS,
        MAX_FLUSH_SECONDS,
        FLUSH_SECONDS + COHORT_FLUSH_SECONDS,
        MAX_FLUSH_SECONDS,
    ]


def test_published_bytes_are_sent_unchanged():
    harness = HubHarness()
    socket = harness.open_socket("AAPL")
    payload = b'{ "seq_id":1, "symbol":"AAPL","price":1.50,"timestamp":%d,"venue":"X"}' % at(1)
    harness.hub.receive(b"prices.AAPL", payload)
    harness.run_timers()
    assert socket.transport.payloads == [payload]


def test_updates_before_a_flush_are_sent_in_order_and_schedule_one_flush():
    harness = HubHarness()
    socket = harness.open_socket("AAPL", "BRK.B")
    for seq in (1, 2, 3):
        harness.publish("AAPL", seq)
    harness.publish("BRK.B", 1)
    assert len(harness.scheduled) == 1
    harness.run_timers()
    assert received_updates(socket) == [("AAPL", 1), ("AAPL", 2), ("AAPL", 3), ("BRK.B", 1)]


def test_a_stale_update_is_dropped_and_counted():
    harness = HubHarness()
    socket = harness.open_socket("AAPL")
    harness.publish("AAPL", 5)
    harness.publish("AAPL", 5)
    harness.publish("AAPL", 4)
    harness.publish("AAPL", 4, from_store=True)
    harness.run_timers()
    assert received_updates(socket) == [("AAPL", 5)]
    assert harness.hub.counts.stale == 2


def test_malformed_and_unwanted_updates_are_dropped_and_counted():
    harness = HubHarness()
    socket = harness.open_socket("AAPL")
    harness.hub.receive(b"prices.AAPL", b"not json")
    harness.hub.receive(b"prices.AAPL", encode(Update("GOOG", 1.0, at(1), 1)))
    harness.publish("GOOG", 1)
    harness.run_timers()
    assert received_updates(socket) == []
    assert (harness.hub.counts.malformed, harness.hub.counts.unwanted) == (2, 1)


def test_a_gap_in_seq_ids_is_counted():
    harness = HubHarness()
    harness.open_socket("AAPL")
    for seq in (1, 2, 5, 6):
        harness.publish("AAPL", seq, timestamp=at(seq))
    assert harness.hub.counts.gaps == 1
    assert harness.hub.newest_timestamp == at(6)


def test_a_later_socket_receives_the_newest_update_at_once_and_only_once():
    harness = HubHarness()
    harness.open_socket("AAPL")
    harness.publish("AAPL", 1)
    late = harness.open_socket("AAPL")
    assert received_updates(late) == [("AAPL", 1)]
    harness.run_timers()
    harness.publish("AAPL", 2)
    harness.run_timers()
    assert received_updates(late) == [("AAPL", 1), ("AAPL", 2)]


def test_a_symbol_is_requested_at_its_first_socket_and_released_with_its_last():
    harness = HubHarness()
    first, second = harness.open_socket("AAPL"), harness.open_socket("AAPL")
    assert harness.requested == harness.hub.symbols == ["AAPL"]
    assert harness.hub.subscriptions == 2
    harness.hub.remove(first)
    assert harness.requested == ["AAPL"]
    harness.hub.unsubscribe(second, ["AAPL", "never held"])
    assert harness.requested == harness.hub.symbols == []


def test_a_removed_socket_releases_its_transport():
    harness = HubHarness()
    socket = harness.open_socket("AAPL")
    harness.hub.remove(socket)
    assert socket.transport.released


def test_a_symbol_that_is_subscribed_again_starts_from_the_stored_quote():
    harness = HubHarness()
    socket = harness.open_socket("AAPL")
    harness.publish("AAPL", 9)
    harness.hub.unsubscribe(socket, ["AAPL"])
    harness.run_timers()
    harness.hub.subscribe(socket, ["AAPL"])
    harness.publish("AAPL", 3, from_store=True)
    harness.run_timers()
    assert received_updates(socket) == [("AAPL", 9), ("AAPL", 3)]


def test_no_update_of_a_symbol_follows_its_unsubscribe():
    harness = HubHarness()
    socket = harness.open_socket("AAPL", "BRK.B", room=0)
    harness.publish("AAPL", 1)
    harness.run_timers()
    harness.hub.unsubscribe(socket, ["AAPL"])
    harness.publish("AAPL", 2)
    harness.publish("BRK.B", 1)
    harness.run_timers()
    socket.transport.make_room()
    assert received_updates(socket) == [("BRK.B", 1)]


def test_a_stalled_socket_does_not_delay_its_cohort():
    harness = HubHarness()
    stalled, healthy = harness.open_socket("AAPL", room=0), harness.open_socket("AAPL")
    for seq in range(1, 6):
        harness.publish("AAPL", seq)
        harness.run_timers()
    assert len(received_updates(healthy)) == 5
    stalled.transport.make_room()
    assert received_updates(stalled) == [("AAPL", 5)]


def test_subscribing_to_a_subscribed_symbol_changes_nothing():
    harness = HubHarness()
    socket = harness.open_socket("AAPL")
    harness.publish("AAPL", 1)
    harness.run_timers()
    harness.hub.subscribe(socket, ["AAPL"])
    assert received_updates(socket) == [("AAPL", 1)]
    assert harness.hub.subscriptions == 1


@pytest.mark.parametrize("timestamp", [1_766_480_000_000, START + DAY_US + 300_000_001])
def test_an_update_without_a_possible_timestamp_is_dropped_and_blocks_no_later_one(timestamp):
    harness = HubHarness()
    socket = harness.open_socket("AAPL")
    payload = b'{"symbol":"AAPL","price":1.0,"timestamp":%d,"seq_id":1}' % timestamp
    harness.hub.receive(b"prices.AAPL", payload)
    harness.hub.receive(b"prices.AAPL", payload, from_store=True)
    harness.publish("AAPL", 2)
    harness.run_timers()
    assert received_updates(socket) == [("AAPL", 2)]
    assert (harness.hub.counts.timestamp, harness.hub.counts.malformed) == (2, 0)


def test_a_malformed_stored_value_is_counted_once_per_value():
    harness = HubHarness()
    harness.open_socket("AAPL")
    for value in (b"x", b"x", b"y", b"y"):
        harness.hub.receive(b"prices.AAPL", value, from_store=True)
    harness.hub.receive(b"prices.AAPL", b"y")
    assert harness.hub.counts.malformed == 3
