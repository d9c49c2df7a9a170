from hypothesis import given
from hypothesis import strategies as st

from tests.watchlist.gateway.fakes import FakeTransport
from watchlist.gateway.outbox import LARGEST_REPLIES, Outbox
from watchlist.gateway.protocol import text_frame


def make_outbox(room=None):
    transport = FakeTransport(room)
    outbox = Outbox(transport, clock=lambda: 7.0)
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
