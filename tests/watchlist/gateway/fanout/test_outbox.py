import msgspec
from hypothesis import given
from hypothesis import strategies as st

from feeds.wire import Update, encode
from tests.support.gateway.fakes import FakeTransport
from tests.support.times import at
from watchlist.gateway.counts import HubCounts
from watchlist.gateway.fanout.delivery import Delivery
from watchlist.gateway.fanout.outbox import MAX_REPLY_BYTES, Outbox
from watchlist.gateway.framing import text_frame
from watchlist.gateway.messages import UpdateMessage, make_state


def make_outbox(room=None, **options):
    transport = FakeTransport(room)
    outbox = Outbox(transport, clock=lambda: 7.0, **options)
    transport.on_writable = outbox.resume
    return outbox, transport


def write(outbox, *updates):
    messages = [UpdateMessage(symbol, text_frame(payload), payload) for symbol, payload in updates]
    outbox.write(outbox.delivery.make_block(messages))


def test_an_open_socket_receives_every_update_at_once():
    outbox, transport = make_outbox()
    write(outbox, ("A", b"a1"), ("B", b"b1"))
    write(outbox, ("A", b"a2"))
    assert transport.payloads == [b"a1", b"b1", b"a2"]
    assert len(outbox) == 0


def test_a_full_socket_keeps_the_newest_of_each_symbol():
    outbox, transport = make_outbox(room=0)
    write(outbox, ("A", b"a1"), ("B", b"b1"))
    write(outbox, ("A", b"a2"))
    write(outbox, ("A", b"a3"))
    assert (outbox.open, outbox.stalled_at, len(outbox)) == (False, 7.0, 2)
    transport.make_room()
    assert transport.payloads == [b"a3", b"b1"]
    assert outbox.open


def test_a_begun_frame_is_finished_and_the_transport_keeps_nothing_else():
    outbox, transport = make_outbox(room=6)
    write(outbox, ("A", b"a1"), ("B", b"b1"), ("C", b"c1"))
    assert transport.rest == text_frame(b"b1")[2:]
    write(outbox, ("C", b"c2"))
    transport.make_room()
    assert transport.payloads == [b"a1", b"b1", b"c2"]


def test_a_socket_that_is_full_between_two_frames_begins_none():
    outbox, transport = make_outbox(room=4)
    write(outbox, ("A", b"a1"), ("B", b"b1"))
    assert transport.rest == b""
    write(outbox, ("B", b"b2"))
    transport.make_room()
    assert transport.payloads == [b"a1", b"b2"]


def test_waiting_replies_keep_their_order_and_precede_updates():
    outbox, transport = make_outbox(room=0)
    write(outbox, ("A", b"a1"))
    assert outbox.reply(b"r1")
    assert outbox.reply(b"r2")
    transport.make_room()
    assert transport.payloads == [b"r1", b"r2", b"a1"]


def test_too_many_waiting_replies_are_reported_and_none_is_dropped():
    outbox, transport = make_outbox(room=0)
    payload = b"r" * 1000
    count = 0
    while outbox.reply(payload):
        count += 1
    assert count == MAX_REPLY_BYTES // len(text_frame(payload))
    transport.make_room()
    assert len(transport.payloads) == count + 1


def test_updates_of_a_discarded_symbol_are_not_sent():
    outbox, transport = make_outbox(room=0)
    write(outbox, ("A", b"a1"), ("B", b"b1"))
    outbox.discard("A")
    outbox.discard("never held")
    transport.make_room()
    assert transport.payloads == [b"b1"]


def test_a_socket_that_stalls_again_while_it_resumes_continues_later():
    outbox, transport = make_outbox(room=0)
    write(outbox, ("A", b"a1"), ("B", b"b1"))
    transport.make_room(room=5)
    assert not outbox.open
    transport.make_room()
    assert transport.payloads == [b"a1", b"b1"]


def test_a_closed_outbox_neither_sends_nor_keeps():
    outbox, transport = make_outbox(room=0)
    write(outbox, ("A", b"a1"))
    outbox.close()
    write(outbox, ("A", b"a2"))
    assert outbox.reply(b"r")
    transport.make_room()
    assert (transport.payloads, len(outbox)) == ([], 0)


def test_resuming_with_an_empty_backlog_opens_the_socket():
    outbox, transport = make_outbox(room=3)
    write(outbox, ("A", b"a1"))
    assert not outbox.open
    transport.make_room()
    assert outbox.open
    assert transport.payloads == [b"a1"]


def test_the_newest_state_message_of_each_key_waits_and_is_sent_between_replies_and_updates():
    outbox, transport = make_outbox(room=0)
    write(outbox, ("A", b"a1"))
    outbox.send([make_state("A", b"old"), make_state("list 1", b"l1")])
    outbox.send([make_state("A", b"new")])
    outbox.send([])
    assert outbox.reply(b"r")
    assert (len(outbox), outbox.has_waiting_state) == (4, True)
    transport.make_room()
    assert transport.payloads == [b"r", b"new", b"l1", b"a1"]
    assert not outbox.has_waiting_state


def test_waiting_state_messages_do_not_count_as_replies():
    outbox, transport = make_outbox(room=0)
    messages = [make_state(f"S{number}", b"f" * 1000) for number in range(1000)]
    outbox.send(messages)
    assert outbox.reply(b"r")
    transport.make_room()
    assert len(transport.payloads) == 1001


def test_an_open_socket_receives_state_messages_at_once_in_order():
    outbox, transport = make_outbox()
    outbox.send([make_state("A", b"1"), make_state("A", b"2")])
    assert transport.payloads == [b"1", b"2"]


def test_a_state_message_behind_a_begun_frame_is_replaced_by_a_newer_one():
    outbox, transport = make_outbox(room=5)
    outbox.send([make_state("A", b"a1"), make_state("B", b"b1"), make_state("C", b"c1")])
    outbox.send([make_state("C", b"c2")])
    transport.make_room()
    assert transport.payloads == [b"a1", b"b1", b"c2"]


def test_state_messages_of_a_discarded_symbol_are_not_sent():
    outbox, transport = make_outbox(room=0)
    outbox.send([make_state("A", b"a"), make_state("B", b"b")])
    outbox.discard("A")
    transport.make_room()
    assert transport.payloads == [b"b"]


def test_a_closed_outbox_keeps_no_state_messages():
    outbox, _ = make_outbox(room=0)
    outbox.send([make_state("A", b"a")])
    outbox.close()
    outbox.send([make_state("B", b"b")])
    assert len(outbox) == 0


def publish(outbox, symbol, seq):
    payload = encode(Update(symbol, 1.0, at(seq), seq))
    write(outbox, (symbol, payload))


def received_by_symbol(transport):
    """Returns, by symbol, the seq_id of each update and the range of each loss."""
    found = {}
    for value in map(msgspec.json.decode, transport.payloads):
        lost = value.get("type") == "lost"
        found.setdefault(value["symbol"], []).append((value["from"], value["to"]) if lost else value["seq_id"])
    return found


def test_in_mode_all_the_newest_update_of_a_quiet_symbol_is_never_dropped():
    outbox, transport = make_outbox(room=0, max_updates=3, delivery=Delivery(keep_all=True))
    for seq in (1, 2):
        publish(outbox, "QUIET", seq)
    for seq in range(1, 10):
        publish(outbox, "BUSY", seq)
    assert len(outbox) == 3 + 1 + 2
    transport.make_room()
    assert received_by_symbol(transport) == {"QUIET": [(1, 1), 2], "BUSY": [(1, 6), 7, 8, 9]}


def test_in_mode_all_a_kept_update_is_dropped_when_a_newer_one_arrives():
    outbox, transport = make_outbox(room=0, max_updates=2, delivery=Delivery(keep_all=True))
    publish(outbox, "QUIET", 1)
    for seq in (1, 2):
        publish(outbox, "BUSY", seq)
    publish(outbox, "QUIET", 2)
    transport.make_room()
    assert received_by_symbol(transport) == {"QUIET": [(1, 1), 2], "BUSY": [(1, 1), 2]}


def test_a_slow_reader_receives_each_loss_and_losses_do_not_accumulate():
    outbox, transport = make_outbox(room=0, max_updates=3, delivery=Delivery(keep_all=True))
    symbols = [f"S{number}" for number in range(50)]
    for seq in range(1, 40):
        for symbol in symbols:
            publish(outbox, symbol, seq)
        transport.make_room(1)
        assert len(outbox) <= 3 + 3 * len(symbols)
    transport.make_room()
    expected = {symbol: list(range(1, 40)) for symbol in symbols}
    received = {symbol: [] for symbol in symbols}
    for symbol, values in received_by_symbol(transport).items():
        for value in values:
            received[symbol] += range(value[0], value[1] + 1) if isinstance(value, tuple) else [value]
    assert received == expected


def test_losses_of_a_discarded_symbol_are_not_sent_even_as_waiting_state():
    outbox, transport = make_outbox(room=0, max_updates=1, delivery=Delivery(keep_all=True))
    for seq in (1, 2, 3):
        publish(outbox, "A", seq)
        publish(outbox, "B", seq)
    transport.make_room(1)
    outbox.discard("B")
    transport.make_room()
    assert received_by_symbol(transport) == {"A": [(1, 2), 3]}


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 30)), max_size=60))
def test_no_older_update_follows_a_newer_one_and_the_last_arrives_whatever_the_socket_takes(steps):
    outbox, transport = make_outbox()
    last = {}
    for number, (symbol, room) in enumerate(steps):
        transport.make_room(room)
        write(outbox, (symbol, b"%s:%d" % (symbol.encode(), number)))
        last[symbol] = number
        assert len(outbox) <= 3
        assert len(transport.rest) < 10
    transport.make_room()
    seen = {}
    for payload in transport.payloads:
        symbol, number = payload.decode().split(":")
        assert int(number) > seen.get(symbol, -1)
        seen[symbol] = int(number)
    assert seen == last


def test_replaced_updates_count_as_conflated():
    counts = HubCounts()
    outbox, transport = make_outbox(room=0, counts=counts)
    write(outbox, ("A", b"a1"), ("B", b"b1"))
    write(outbox, ("A", b"a2"), ("A", b"a3"))
    transport.make_room()
    write(outbox, ("A", b"a4"))
    assert (counts.conflated, counts.lost, outbox.conflated) == (2, 0, 2)


def test_updates_that_mode_all_drops_count_as_lost():
    counts = HubCounts()
    outbox, transport = make_outbox(room=0, max_updates=3, delivery=Delivery(keep_all=True), counts=counts)
    for seq in range(1, 11):
        publish(outbox, "A", seq)
    transport.make_room()
    assert (counts.conflated, counts.lost, outbox.conflated) == (0, 7, 7)
    assert received_by_symbol(transport) == {"A": [(1, 7), 8, 9, 10]}


def test_updates_that_wait_when_the_mode_becomes_latest_count_as_conflated():
    counts = HubCounts()
    outbox, _ = make_outbox(room=0, delivery=Delivery(keep_all=True), counts=counts)
    for seq in range(1, 4):
        publish(outbox, "A", seq)
    outbox.change_delivery(Delivery())
    assert (counts.conflated, counts.lost) == (2, 0)
