"""The hub with batches, limited rates, snapshots and the two modes."""

from feeds.wire import Update, encode
from tests.support.gateway.hub import START, HubHarness, received_losses, received_updates
from tests.support.times import at
from watchlist.gateway.fanout.delivery import MAX_BATCH_BYTES, Delivery


def test_a_batch_is_one_frame_of_unchanged_updates():
    harness = HubHarness()
    socket = harness.open_socket("AAPL", "BRK.B", batch=True)
    harness.publish("AAPL", 1)
    harness.publish("AAPL", 2)
    harness.publish("BRK.B", 1)
    harness.run_timers()
    (payload,) = socket.transport.payloads
    parts = [encode(Update(symbol, 1.0, at(1), seq)) for symbol, seq in (("AAPL", 1), ("AAPL", 2), ("BRK.B", 1))]
    assert payload == b"[" + b",".join(parts) + b"]"


def test_a_large_batch_is_split():
    harness = HubHarness()
    socket = harness.open_socket("AAPL", batch=True)
    for seq in range(1, 1001):
        harness.publish("AAPL", seq)
    harness.run_timers()
    assert [seq for _, seq in received_updates(socket)] == list(range(1, 1001))
    assert len(socket.transport.payloads) > 1
    assert max(map(len, socket.transport.payloads)) <= MAX_BATCH_BYTES + 1000


def test_a_paced_socket_receives_the_newest_update_per_interval_and_others_every_update_at_once():
    harness = HubHarness()
    paced, prompt = harness.open_socket("AAPL", hertz=4), harness.open_socket("AAPL")
    for seq in (1, 2, 3):
        harness.publish("AAPL", seq)
        harness.hub.flush()
    assert received_updates(prompt) == [("AAPL", 1), ("AAPL", 2), ("AAPL", 3)]
    assert received_updates(paced) == [("AAPL", 1)]
    harness.run_interval()
    assert received_updates(paced) == [("AAPL", 1), ("AAPL", 3)]
    harness.run_interval()
    assert received_updates(paced) == [("AAPL", 1), ("AAPL", 3)]


def test_the_first_price_of_a_symbol_does_not_wait_for_the_interval_and_is_sent_once():
    harness = HubHarness()
    paced = harness.open_socket("AAPL", "BRK.B", hertz=0.1)
    harness.publish("AAPL", 1, from_store=True)
    harness.publish("BRK.B", 1)
    harness.hub.flush()
    assert received_updates(paced) == [("AAPL", 1), ("BRK.B", 1)]
    harness.hub.subscribe(paced, ["TSLA"])
    harness.publish("TSLA", 1)
    harness.hub.flush()
    harness.run_interval()
    assert received_updates(paced) == [("AAPL", 1), ("BRK.B", 1), ("TSLA", 1)]


def test_joining_a_paced_cohort_neither_flushes_the_others_nor_repeats_the_snapshot():
    harness = HubHarness()
    first = harness.open_socket("AAPL", hertz=4)
    harness.publish("AAPL", 1)
    second = harness.open_socket("AAPL", hertz=4)
    assert (received_updates(first), received_updates(second)) == ([], [("AAPL", 1)])
    harness.run_interval()
    assert (received_updates(first), received_updates(second)) == ([("AAPL", 1)], [("AAPL", 1)])


def test_a_paced_socket_that_changes_its_symbols_misses_no_update():
    harness = HubHarness()
    socket = harness.open_socket("AAPL", hertz=4)
    harness.publish("AAPL", 1)
    harness.hub.subscribe(socket, ["BRK.B"])
    harness.run_interval()
    assert received_updates(socket) == [("AAPL", 1)]


def test_a_pacer_without_cohorts_schedules_nothing():
    harness = HubHarness()
    harness.hub.remove(harness.open_socket("AAPL", hertz=4))
    harness.run_timers()
    assert harness.scheduled == []


def test_without_a_snapshot_only_later_updates_are_sent():
    harness = HubHarness()
    eager = harness.open_socket("AAPL")
    harness.publish("AAPL", 1)
    harness.run_timers()
    late, paced = harness.open_socket("AAPL", snapshot=False), harness.open_socket("AAPL", snapshot=False, hertz=4)
    fresh, fresh_paced = (
        harness.open_socket("BRK.B", snapshot=False),
        harness.open_socket("BRK.B", snapshot=False, hertz=4),
    )
    waiting = harness.open_socket("BRK.B", hertz=4)
    harness.publish("BRK.B", 1, from_store=True)
    harness.run_interval()
    assert (
        received_updates(late)
        == received_updates(paced)
        == received_updates(fresh)
        == received_updates(fresh_paced)
        == []
    )
    assert received_updates(waiting) == [("BRK.B", 1)]
    harness.publish("AAPL", 2)
    harness.publish("BRK.B", 2, from_store=True)
    harness.run_interval()
    assert received_updates(late) == received_updates(paced) == [("AAPL", 2)]
    assert received_updates(fresh) == received_updates(fresh_paced) == [("BRK.B", 2)]
    assert len(received_updates(eager)) == 2


def test_in_mode_all_a_slow_socket_receives_the_last_updates_and_its_losses():
    harness = HubHarness()
    socket = harness.open_socket("AAPL", "BRK.B", keep_all=True, room=0)
    harness.publish_rounds(["AAPL"], 5)
    harness.publish("BRK.B", 1)
    harness.run_timers()
    socket.transport.make_room()
    assert received_losses(socket) == [(1, 3)]
    assert received_updates(socket) == [("AAPL", 4), ("AAPL", 5), ("BRK.B", 1)]


def test_after_a_restart_of_the_numbers_the_range_of_losses_is_in_order():
    harness = HubHarness()
    socket = harness.open_socket("AAPL", keep_all=True, room=0)
    for timestamp, seq in enumerate((8, 9, 10, 1, 2, 3, 4, 5), 1):
        harness.publish("AAPL", seq, timestamp=START + timestamp)
        harness.run_timers()
    socket.transport.make_room()
    assert received_losses(socket) == [(1, 10)]


def test_in_mode_all_an_unsubscribed_symbol_leaves_neither_updates_nor_losses():
    harness = HubHarness()
    socket = harness.open_socket("AAPL", "BRK.B", keep_all=True, room=0)
    harness.publish_rounds(("AAPL", "BRK.B"), 5)
    harness.hub.unsubscribe(socket, ["AAPL"])
    socket.transport.make_room()
    assert received_losses(socket) == [(1, 3)]
    assert received_updates(socket) == [("BRK.B", 4), ("BRK.B", 5)]


def test_a_slow_socket_that_changes_its_mode_keeps_its_backlog():
    harness = HubHarness()
    socket = harness.open_socket("AAPL", room=0)
    harness.publish("AAPL", 1)
    harness.run_timers()
    harness.hub.change_delivery(socket, Delivery(keep_all=True))
    harness.hub.change_delivery(socket, Delivery(keep_all=True))
    harness.publish("AAPL", 2)
    harness.run_timers()
    assert len(socket) == 2
    harness.hub.change_delivery(socket, Delivery(batch=True))
    socket.transport.make_room()
    assert received_updates(socket) == [("AAPL", 2)]
