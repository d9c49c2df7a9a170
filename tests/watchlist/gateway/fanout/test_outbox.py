import msgspec
from hypothesis import given
from hypothesis import strategies as st

from feeds.wire import Update, encode
from tests.support.gateway.fakes import FakeTransport
from watchlist.gateway.fanout.delivery import Delivery, fact
from watchlist.gateway.fanout.outbox import LARGEST_REPLIES, Outbox
from watchlist.gateway.protocol import text_frame


def make_outbox(room=None, **options):
    transport = FakeTransport(room)
    outbox = Outbox(transport, clock=lambda: 7.0, **options)
    transport.on_drain = outbox.drain
    return outbox, transport


def write(outbox, *updates):
    items = [(symbol, text_frame(payload), payload) for symbol, payload in updates]
    outbox.write(items, outbox.delivery.block(items))


def test_an_open_socket_gets_every_update_at_once():
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


def test_a_frame_that_was_begun_is_finished_and_no_more_is_kept_in_the_transport():
    outbox, transport = make_outbox(room=6)
    write(outbox, ("A", b"a1"), ("B", b"b1"), ("C", b"c1"))
    assert transport.rest == text_frame(b"b1")[2:]
    write(outbox, ("C", b"c2"))
    transport.make_room()
    assert transport.payloads == [b"a1", b"b1", b"c2"]


def test_a_socket_that_is_full_right_between_two_frames_begins_none():
    outbox, transport = make_outbox(room=4)
    write(outbox, ("A", b"a1"), ("B", b"b1"))
    assert transport.rest == b""
    write(outbox, ("B", b"b2"))
    transport.make_room()
    assert transport.payloads == [b"a1", b"b2"]


def test_replies_are_kept_in_order_and_go_before_updates():
    outbox, transport = make_outbox(room=0)
    write(outbox, ("A", b"a1"))
    assert outbox.reply(b"r1")
    assert outbox.reply(b"r2")
    transport.make_room()
    assert transport.payloads == [b"r1", b"r2", b"a1"]


def test_too_many_unread_replies_are_refused_and_none_is_dropped():
    outbox, transport = make_outbox(room=0)
    payload = b"r" * 1000
    count = 0
    while outbox.reply(payload):
        count += 1
    assert count == LARGEST_REPLIES // len(text_frame(payload))
    transport.make_room()
    assert len(transport.payloads) == count + 1


def test_a_forgotten_symbol_is_not_sent_when_the_socket_drains():
    outbox, transport = make_outbox(room=0)
    write(outbox, ("A", b"a1"), ("B", b"b1"))
    outbox.forget("A")
    outbox.forget("never held")
    transport.make_room()
    assert transport.payloads == [b"b1"]


def test_a_socket_that_stalls_again_while_it_drains_goes_on_later():
    outbox, transport = make_outbox(room=0)
    write(outbox, ("A", b"a1"), ("B", b"b1"))
    transport.make_room(room=5)
    assert not outbox.open
    transport.make_room()
    assert transport.payloads == [b"a1", b"b1"]


def test_a_shut_outbox_neither_sends_nor_keeps():
    outbox, transport = make_outbox(room=0)
    write(outbox, ("A", b"a1"))
    outbox.shut()
    write(outbox, ("A", b"a2"))
    assert outbox.reply(b"r")
    transport.make_room()
    assert (transport.payloads, len(outbox)) == ([], 0)


def test_draining_with_nothing_waiting_opens_the_socket():
    outbox, transport = make_outbox(room=3)
    write(outbox, ("A", b"a1"))
    assert not outbox.open
    transport.make_room()
    assert outbox.open
    assert transport.payloads == [b"a1"]


def test_facts_that_wait_are_the_newest_of_each_key_and_go_between_replies_and_updates():
    outbox, transport = make_outbox(room=0)
    write(outbox, ("A", b"a1"))
    outbox.tell([fact("A", b"old"), fact("list 1", b"l1")])
    outbox.tell([fact("A", b"new")])
    outbox.tell([])
    assert outbox.reply(b"r")
    assert (len(outbox), outbox.telling) == (4, True)
    transport.make_room()
    assert transport.payloads == [b"r", b"new", b"l1", b"a1"]
    assert not outbox.telling


def test_facts_that_wait_are_no_replies_and_close_nobody():
    outbox, transport = make_outbox(room=0)
    facts = [fact(f"S{number}", b"f" * 1000) for number in range(1000)]
    outbox.tell(facts)
    assert outbox.reply(b"r")
    transport.make_room()
    assert len(transport.payloads) == 1001


def test_an_open_socket_gets_facts_at_once_in_their_order():
    outbox, transport = make_outbox()
    outbox.tell([fact("A", b"1"), fact("A", b"2")])
    assert transport.payloads == [b"1", b"2"]


def test_a_fact_behind_the_frame_that_was_begun_waits_for_a_newer_one():
    outbox, transport = make_outbox(room=5)
    outbox.tell([fact("A", b"a1"), fact("B", b"b1"), fact("C", b"c1")])
    outbox.tell([fact("C", b"c2")])
    transport.make_room()
    assert transport.payloads == [b"a1", b"b1", b"c2"]


def test_facts_of_a_forgotten_symbol_are_not_sent():
    outbox, transport = make_outbox(room=0)
    outbox.tell([fact("A", b"a"), fact("B", b"b")])
    outbox.forget("A")
    transport.make_room()
    assert transport.payloads == [b"b"]


def test_a_shut_outbox_keeps_no_facts():
    outbox, _ = make_outbox(room=0)
    outbox.tell([fact("A", b"a")])
    outbox.shut()
    outbox.tell([fact("B", b"b")])
    assert len(outbox) == 0


def publish(outbox, symbol, seq):
    payload = encode(Update(symbol, 1.0, seq, seq))
    write(outbox, (symbol, payload))


def told(transport):
    """Numbers of updates, and pairs of numbers of losses, by symbol."""
    found = {}
    for value in map(msgspec.json.decode, transport.payloads):
        lost = value.get("type") == "lost"
        found.setdefault(value["symbol"], []).append((value["from"], value["to"]) if lost else value["seq_id"])
    return found


def test_in_mode_all_the_newest_update_of_a_quiet_symbol_is_never_what_is_dropped():
    outbox, transport = make_outbox(room=0, most=3, delivery=Delivery(all=True))
    for seq in (1, 2):
        publish(outbox, "QUIET", seq)
    for seq in range(1, 10):
        publish(outbox, "BUSY", seq)
    assert len(outbox) == 3 + 1 + 2
    transport.make_room()
    assert told(transport) == {"QUIET": [(1, 1), 2], "BUSY": [(1, 6), 7, 8, 9]}


def test_in_mode_all_the_kept_update_is_lost_when_a_newer_one_comes():
    outbox, transport = make_outbox(room=0, most=2, delivery=Delivery(all=True))
    publish(outbox, "QUIET", 1)
    for seq in (1, 2):
        publish(outbox, "BUSY", seq)
    publish(outbox, "QUIET", 2)
    transport.make_room()
    assert told(transport) == {"QUIET": [(1, 1), 2], "BUSY": [(1, 1), 2]}


def test_a_recorder_that_reads_slowly_is_told_each_loss_and_no_losses_pile_up():
    outbox, transport = make_outbox(room=0, most=3, delivery=Delivery(all=True))
    symbols = [f"S{number}" for number in range(50)]
    for seq in range(1, 40):
        for symbol in symbols:
            publish(outbox, symbol, seq)
        transport.make_room(1)
        assert len(outbox) <= 3 + 3 * len(symbols)
    transport.make_room()
    expected = {symbol: list(range(1, 40)) for symbol in symbols}
    heard = {symbol: [] for symbol in symbols}
    for symbol, values in told(transport).items():
        for value in values:
            heard[symbol] += range(value[0], value[1] + 1) if isinstance(value, tuple) else [value]
    assert heard == expected


def test_losses_of_a_forgotten_symbol_are_not_told_however_far_they_got():
    outbox, transport = make_outbox(room=0, most=1, delivery=Delivery(all=True))
    for seq in (1, 2, 3):
        publish(outbox, "A", seq)
        publish(outbox, "B", seq)
    transport.make_room(1)
    outbox.forget("B")
    transport.make_room()
    assert told(transport) == {"A": [(1, 2), 3]}


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 30)), max_size=60))
def test_whatever_the_socket_takes_no_older_update_follows_a_newer_and_the_last_arrives(steps):
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
