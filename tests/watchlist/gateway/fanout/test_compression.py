"""The hub with sockets whose clients have negotiated compression."""

import pytest

from tests.support.gateway.hub import HubHarness, received_updates
from watchlist.gateway.deflate.compressor import COMPRESSED_TEXT, MIN_SOCKETS, Compressor
from watchlist.gateway.fanout.delivery import MAX_BATCH_BYTES, Delivery
from watchlist.gateway.messages import make_state

SYMBOLS = [f"S{number}" for number in range(10)]
PLAIN_TEXT = 0x81


class CompressingHub(HubHarness):
    def __init__(self):
        super().__init__()
        self.compressor = Compressor()

    def connect(self, *symbols, **options):
        options = {"batch": True, "compressor": self.compressor, **options}
        return self.open_socket(*(symbols or SYMBOLS), **options)

    def publish_all(self, seq_id):
        for symbol in SYMBOLS:
            self.publish(symbol, seq_id)

    def compressed(self):
        """Returns how many bytes were compressed since the last call."""
        size, self.compressor.input_bytes = self.compressor.input_bytes, 0
        return size


@pytest.fixture
def hub():
    return CompressingHub()


def first_bytes(socket):
    return [frame[0] for frame in socket.transport.frames]


def all_updates(*seq_ids):
    return [(symbol, seq_id) for seq_id in seq_ids for symbol in SYMBOLS]


@pytest.mark.parametrize("hertz", [0, 4])
def test_the_updates_of_a_flush_are_compressed_once_for_all_sockets_of_a_cohort(hub, hertz):
    sockets = [hub.connect(hertz=hertz, snapshot=False) for _ in range(20)]
    hub.run_interval()
    hub.publish_all(1)
    hub.run_interval()
    (payload,) = {socket.transport.payloads[0] for socket in sockets}
    assert hub.compressed() == len(payload)
    for socket in sockets:
        assert first_bytes(socket) == [COMPRESSED_TEXT]
        assert sorted(received_updates(socket)) == all_updates(1)


def test_sockets_with_and_without_compression_share_no_frames(hub):
    packed, plain = hub.connect(), hub.connect(compressor=None)
    single = hub.connect(batch=False)
    hub.publish_all(1)
    hub.run_timers()
    assert (first_bytes(packed), first_bytes(plain)) == ([COMPRESSED_TEXT], [PLAIN_TEXT])
    assert first_bytes(single) == [PLAIN_TEXT] * 10
    assert received_updates(packed) == received_updates(plain) == received_updates(single) == all_updates(1)


def test_replies_and_state_messages_are_never_compressed(hub):
    socket = hub.connect()
    socket.reply(b'"' + b"r" * 1000 + b'"')
    socket.send([make_state("list 1", b'"' + b"s" * 1000 + b'"')])
    hub.publish_all(1)
    hub.run_timers()
    assert first_bytes(socket) == [PLAIN_TEXT, PLAIN_TEXT, COMPRESSED_TEXT]


def test_a_client_that_takes_a_part_of_a_compressed_frame_receives_the_rest_of_it(hub):
    reader, slow = hub.connect(), hub.connect()
    slow.transport.room = 50
    hub.publish_all(1)
    hub.run_timers()
    assert slow.transport.wire + slow.transport.rest == reader.transport.wire
    assert len(slow) == 0
    hub.publish_all(2)
    hub.publish_all(3)
    hub.run_timers()
    slow.transport.make_room()
    assert received_updates(slow) == all_updates(1, 3)
    assert received_updates(reader) == all_updates(1, 2, 3)


def test_a_client_that_takes_one_of_several_compressed_frames_receives_the_others_later(hub):
    seq_ids = range(1, MAX_BATCH_BYTES // 60)
    reader, slow = hub.connect("S0", keep_all=True), hub.connect("S0", keep_all=True)
    for seq_id in seq_ids:
        hub.publish("S0", seq_id)
    slow.transport.room = 50
    hub.run_timers()
    frames = reader.transport.frames
    assert len(frames) == 2
    assert slow.transport.wire + slow.transport.rest == frames[0]
    hub.publish("S0", seq_ids.stop)
    hub.run_timers()
    slow.transport.make_room()
    assert received_updates(reader) == [("S0", seq_id) for seq_id in range(1, seq_ids.stop + 1)]
    (lost,) = [payload for payload in slow.transport.payloads if b'"lost"' in payload]
    received = [seq_id for _, seq_id in received_updates(slow)]
    in_first_frame = slow.transport.payloads[0].count(b"seq_id")
    assert received == [*range(1, in_first_frame + 1), *range(seq_ids.stop - 2, seq_ids.stop + 1)]
    assert b'"from":%d,"to":%d' % (in_first_frame + 1, seq_ids.stop - 3) in lost


def test_a_stall_compresses_nothing_again(hub):
    sockets = [hub.connect() for _ in range(20)]
    for socket in sockets:
        socket.transport.room = 50
    hub.publish_all(1)
    hub.run_timers()
    compressed = hub.compressed()
    for socket in sockets:
        socket.transport.make_room()
    assert {len(socket.transport.payloads[0]) for socket in sockets} == {compressed}
    assert hub.compressed() == 0


def test_a_process_that_becomes_busy_does_not_change_a_begun_frame(hub):
    socket = hub.connect()
    socket.transport.room = 50
    hub.publish_all(1)
    hub.run_timers()
    hub.compressor.busy = True
    hub.publish_all(2)
    hub.run_timers()
    socket.transport.make_room()
    assert received_updates(socket) == all_updates(1, 2)
    assert first_bytes(socket) == [COMPRESSED_TEXT, PLAIN_TEXT]


@pytest.mark.parametrize(("sockets", "first_byte"), [(MIN_SOCKETS - 1, PLAIN_TEXT), (MIN_SOCKETS, COMPRESSED_TEXT)])
def test_a_busy_process_compresses_only_for_large_cohorts(hub, sockets, first_byte):
    hub.compressor.busy = True
    cohort = [hub.connect() for _ in range(sockets)]
    hub.publish_all(1)
    hub.run_timers()
    assert {byte for socket in cohort for byte in first_bytes(socket)} == {first_byte}
    assert all(received_updates(socket) == all_updates(1) for socket in cohort)


def test_what_waited_for_a_slow_client_is_compressed(hub):
    socket = hub.connect()
    socket.transport.room = 0
    hub.publish_all(1)
    hub.publish_all(2)
    hub.run_timers()
    socket.transport.make_room()
    assert first_bytes(socket) == [COMPRESSED_TEXT]
    assert received_updates(socket) == all_updates(2)


def test_options_that_change_during_a_stall_keep_compression(hub):
    socket = hub.connect()
    socket.transport.room = 50
    hub.publish_all(1)
    hub.run_timers()
    hub.hub.change_delivery(socket, socket.delivery.with_options({"mode": "all", "max_hz": 4}))
    hub.publish_all(2)
    hub.run_timers()
    socket.transport.make_room()
    updates = [update for update in received_updates(socket) if update[1] == 2]
    assert socket.delivery == Delivery(batch=True, keep_all=True, hertz=4.0, compressor=hub.compressor)
    assert updates == all_updates(2)
    assert set(first_bytes(socket)) == {COMPRESSED_TEXT}


def test_sockets_that_connect_with_the_same_list_share_a_snapshot_until_an_update_arrives(hub):
    hub.connect()
    hub.publish_all(1)
    hub.run_timers()
    size = hub.compressed()
    early = [hub.connect() for _ in range(MIN_SOCKETS)]
    hub.compressed()
    late = [hub.connect() for _ in range(20)]
    assert hub.compressed() == 0
    hub.publish("S3", 2)
    hub.run_timers()
    newest = [hub.connect() for _ in range(20)]
    assert hub.compressed() == size
    assert all(received_updates(socket) == [*all_updates(1), ("S3", 2)] for socket in [*early, *late])
    expected = [(symbol, 2 if symbol == "S3" else 1) for symbol in SYMBOLS]
    assert all(received_updates(socket) == expected for socket in newest)


def test_a_snapshot_of_other_symbols_of_the_list_is_not_shared(hub):
    everything = [hub.connect() for _ in range(MIN_SOCKETS + 1)]
    hub.publish_all(1)
    hub.run_timers()
    whole = hub.connect()
    grown = hub.connect("S0", "S1")
    hub.hub.subscribe(grown, SYMBOLS)
    assert received_updates(whole) == received_updates(everything[0]) == all_updates(1)
    assert received_updates(grown) == all_updates(1)


def test_a_small_cohort_keeps_no_snapshot(hub):
    hub.connect()
    hub.publish_all(1)
    hub.run_timers()
    hub.compressed()
    for _ in range(MIN_SOCKETS - 2):
        hub.connect()
        assert hub.compressed() > 0
    (cohort,) = hub.hub._cohorts.values()
    assert cohort._snapshot is None


def test_sockets_that_join_a_paced_cohort_between_two_flushes_share_a_block(hub):
    hub.connect(compressor=None)
    hub.publish_all(1)
    sockets = [hub.connect(hertz=4) for _ in range(3)]
    hub.publish("S0", 2)
    sockets += [hub.connect(hertz=4) for _ in range(3)]
    hub.publish_all(3)
    hub.compressed()
    hub.run_interval()
    assert hub.compressed() == len(sockets[0].transport.payloads[-1])
    assert {socket.transport.payloads[-1] for socket in sockets} == {sockets[0].transport.payloads[-1]}


def test_a_socket_that_has_ended_costs_no_compression(hub):
    socket = hub.connect()
    hub.publish_all(1)
    hub.hub.remove(socket)
    hub.run_timers()
    assert hub.compressed() == 0
    assert hub.hub.counts.sent == 0


def test_a_socket_that_leaves_a_cohort_is_sent_its_updates_compressed(hub):
    stays, leaves = hub.connect(), hub.connect()
    hub.publish_all(1)
    hub.hub.unsubscribe(leaves, ["S9"])
    hub.publish_all(2)
    hub.run_timers()
    assert received_updates(stays) == all_updates(1, 2)
    assert received_updates(leaves) == all_updates(1) + all_updates(2)[:-1]
    assert set(first_bytes(leaves)) == {COMPRESSED_TEXT}
