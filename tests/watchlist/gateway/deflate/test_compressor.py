"""The frames of compressed updates."""

import zlib

import pytest

from feeds.wire import Update, encode
from tests.support.gateway.fakes import inflate_payload
from tests.support.times import at
from watchlist.gateway.deflate.compressor import MANY_SOCKETS, MIN_BYTES, MIN_SOCKETS, Compressor
from watchlist.gateway.framing import text_frame


def make_batch(count, first=1):
    updates = [
        encode(Update(f"S{number}", 100 + number / 7, at(number), number)) for number in range(first, first + count)
    ]
    return b"[" + b",".join(updates) + b"]"


@pytest.mark.parametrize("count", [5, 50, 200])
@pytest.mark.parametrize("sockets", [1, MANY_SOCKETS])
def test_a_compressed_frame_is_smaller_and_has_the_same_payload(count, sockets):
    payload = make_batch(count)
    frame = Compressor().make_frame(payload, sockets)
    assert frame[0] == 0b1100_0001  # FIN, RSV1, text
    assert len(frame) < len(payload) / 2
    assert inflate_payload(frame) == payload


@pytest.mark.parametrize("sockets", [1, MANY_SOCKETS])
def test_a_frame_does_not_depend_on_earlier_payloads(sockets):
    used, fresh = Compressor(), Compressor()
    for first in range(1, 2000, 40):
        used.make_frame(make_batch(40, first), sockets)
    assert used.make_frame(make_batch(40), sockets) == fresh.make_frame(make_batch(40), sockets)


def test_a_cohort_with_many_sockets_is_sent_smaller_frames():
    compressor, payload = Compressor(), make_batch(50)
    sizes = [len(compressor.make_frame(payload, sockets)) for sockets in (1, MANY_SOCKETS - 1, MANY_SOCKETS)]
    assert sizes[0] == sizes[1] > sizes[2]


def test_a_repeated_payload_is_not_replaced_by_a_reference_to_the_earlier_one():
    compressor, payload = Compressor(), make_batch(10)
    first, second = compressor.make_frame(payload, 1), compressor.make_frame(payload, 1)
    assert first == second
    assert inflate_payload(second) == payload


def test_a_short_payload_and_one_that_would_grow_are_not_compressed():
    compressor = Compressor()
    short = b"x" * (MIN_BYTES - 1)
    noise = b"".join(zlib.crc32(b"%d" % number).to_bytes(4, "big") for number in range(MIN_BYTES))
    assert compressor.make_frame(short, 1) == text_frame(short)
    assert compressor.make_frame(noise, 1) == text_frame(noise)
    assert (compressor.input_bytes, compressor.output_bytes) == (0, 0)
    assert compressor.make_frame(b"x" * MIN_BYTES, 1) != text_frame(b"x" * MIN_BYTES)


def test_the_bytes_before_and_after_are_counted():
    compressor = Compressor()
    sizes = [len(compressor.make_frame(make_batch(count), 1)) - 4 for count in (20, 30)]
    assert compressor.input_bytes == len(make_batch(20)) + len(make_batch(30))
    assert compressor.output_bytes == sum(sizes)


def test_small_cohorts_are_sent_plain_frames_while_the_process_uses_more_than_half_a_core():
    compressor, payload = Compressor(), make_batch(20)

    def is_compressed(sockets):
        return compressor.make_frame(payload, sockets) != text_frame(payload)

    assert is_compressed(1)
    compressor.note_cpu(cpu_seconds=10.0, now=1000.0)
    compressor.note_cpu(cpu_seconds=10.5, now=1001.0)
    assert is_compressed(1)
    compressor.note_cpu(cpu_seconds=11.1, now=1002.0)
    assert compressor.busy
    assert not is_compressed(MIN_SOCKETS - 1)
    assert is_compressed(MIN_SOCKETS)
    compressor.note_cpu(cpu_seconds=11.5, now=1003.0)
    assert is_compressed(1)
