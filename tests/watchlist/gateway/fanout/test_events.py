import pytest

from tests.support.gateway.hub import HubHarness
from tests.support.gateway.streams import Event, parse_events
from watchlist.gateway.fanout.delivery import Delivery
from watchlist.gateway.fanout.events import COMMENT, make_event, make_retry
from watchlist.gateway.framing import text_frame
from watchlist.gateway.messages import ReplyMessage, UpdateMessage


def make_update(payload, seq_id=1):
    return UpdateMessage("A", text_frame(payload), payload, seq_id)


def received_events(outbox):
    return parse_events(outbox.transport.wire.decode())


def test_an_event_has_name_id_and_the_published_bytes():
    payload = b'{"symbol":"A", "price":1.50,"timestamp":1766480000000000,"seq_id":42}'
    assert make_event(make_update(payload, 42)) == b"event: update\nid: 42\ndata: " + payload + b"\n\n"


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_published_text_on_several_lines_stays_one_event(end):
    payload = f'{{"symbol":"A",{end}{end}"price":1}}'
    found = parse_events(make_event(make_update(payload.encode(), 7)).decode())
    assert found == [Event("update", "7", '{"symbol":"A",\n\n"price":1}')]


def test_a_comment_and_a_retry_time_are_no_events():
    assert COMMENT == b":\n\n"
    assert make_retry(1500) == b"retry: 1500\n\n"
    assert parse_events((COMMENT + make_retry(1)).decode()) == []


def test_a_block_of_events_can_be_split_into_its_events():
    messages = [ReplyMessage(COMMENT), make_update(b"1"), make_update(b"2")]
    block = Delivery(events=True).make_block(messages)
    parts = [COMMENT, make_event(messages[1]), make_event(messages[2])]
    assert block.data == b"".join(parts)
    assert block.split() == [((message,), part) for message, part in zip(messages, parts, strict=True)]


def test_frames_and_events_of_the_same_symbols_belong_to_different_cohorts():
    harness = HubHarness()
    frames, events = harness.open_socket("A"), harness.open_socket("A", events=True)
    harness.publish("A", 1)
    harness.run_timers()
    assert [event.id for event in received_events(events)] == ["1"]
    assert received_events(events)[0].data.encode() == frames.transport.payloads[0]


def test_a_stream_that_does_not_read_gets_the_begun_event_and_then_the_newest():
    harness = HubHarness()
    outbox = harness.open_socket("A", "B", events=True, room=10)
    harness.publish_rounds("AB", 5)
    assert received_events(outbox) == []
    outbox.transport.make_room()
    ids = [(event.data[11], event.id) for event in received_events(outbox)]
    assert ids == [("A", "1"), ("B", "5"), ("A", "5")]


def test_a_paced_stream_gets_the_newest_update_of_each_interval():
    harness = HubHarness()
    outbox = harness.open_socket("A", events=True, hertz=10)
    for seq_id in range(1, 4):
        harness.publish("A", seq_id)
    harness.run_interval()
    assert [event.id for event in received_events(outbox)] == ["3"]
