"""Reading the frames of a client."""

import random

import pytest

from tests.support.gateway.raw_socket import BINARY, CLOSE, PING, PONG, TEXT, make_frame
from watchlist.gateway.connection_options import ConnectionOptions
from watchlist.gateway.deflate.compressor import Compressor
from watchlist.gateway.deflate.decompression import BadCompression, DecompressedTooLarge
from watchlist.gateway.front.extensions import Deflate, negotiate
from watchlist.gateway.front.frames import (
    BinaryMessage,
    Close,
    Failure,
    FailureCode,
    Fragment,
    FrameReader,
    Ping,
    Pong,
    TextMessage,
    TooLarge,
    close_frame,
    unmask,
)

MAX_BYTES = 70_000
EVENTS = (BinaryMessage, Close, Failure, Fragment, Ping, Pong, TextMessage, TooLarge)
PROTOCOL_ERROR, INVALID_DATA = Failure(FailureCode.PROTOCOL_ERROR), Failure(FailureCode.INVALID_DATA)
COMPRESSED = 4
"""The reserved bits of the first frame of a compressed message."""


class Reversal:
    """An extension that reverses each compressed message."""

    response = "reversal"

    def decompress(self, payload, max_bytes):
        if payload == b"bad":
            raise BadCompression
        if payload == b"bomb":
            raise DecompressedTooLarge
        return payload[::-1]


def read(*pieces, max_bytes=MAX_BYTES, extension=None):
    reader = FrameReader(max_bytes, extension)
    return [event for piece in pieces for event in reader.read(piece)]


def in_bytes(data):
    return [data[at : at + 1] for at in range(len(data))]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, MAX_BYTES])
def test_a_message_of_any_size_is_read(size):
    assert read(make_frame(TEXT, b"x" * size)) == [TextMessage("x" * size)]
    assert read(make_frame(BINARY, b"x" * size)) == [BinaryMessage(b"x" * size)]


def test_a_masked_payload_is_unmasked():
    frame = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"  # the example of RFC 6455, section 5.7
    assert read(frame) == [TextMessage("Hello")]
    assert unmask(b"", b"abcd") == b""


MANY = (
    make_frame(TEXT, "é€".encode())
    + make_frame(PING, b"p" * 125)
    + make_frame(BINARY, b"x" * 300, final=False)
    + make_frame(PONG, b"ignored")
    + make_frame(0, b"y" * 70)
    + make_frame(CLOSE, b"\x03\xe8bye")
)
MANY_EVENTS = [
    *(TextMessage("é€"), Ping(b"p" * 125), Fragment(), Pong(), BinaryMessage(b"x" * 300 + b"y" * 70)),
    Close(b"\x03\xe8"),
]


def test_several_frames_in_one_piece_are_read_in_order():
    assert read(MANY) == MANY_EVENTS


def test_frames_are_read_from_pieces_of_any_size():
    assert read(*in_bytes(MANY)) == MANY_EVENTS
    for cut in range(len(MANY)):
        assert read(MANY[:cut], MANY[cut:]) == MANY_EVENTS
    large = make_frame(TEXT, b"x" * MAX_BYTES)
    assert read(*(large[at : at + 1000] for at in range(0, len(large), 1000))) == [TextMessage("x" * MAX_BYTES)]


def test_a_text_may_be_cut_inside_a_character():
    text = "€".encode()
    assert read(make_frame(TEXT, text[:1], final=False), make_frame(0, text[1:])) == [Fragment(), TextMessage("€")]


def test_nothing_is_read_after_a_close_frame():
    reader = FrameReader(MAX_BYTES)
    assert list(reader.read(make_frame(CLOSE) + make_frame(TEXT, b"x"))) == [Close(b"")]
    assert list(reader.read(make_frame(TEXT, b"x"))) == []


def test_a_consumer_that_stops_drops_the_rest_of_a_piece():
    reader = FrameReader(MAX_BYTES)
    assert next(reader.read(make_frame(TEXT, b"a") + make_frame(TEXT, b"b"))) == TextMessage("a")


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999])
def test_a_valid_close_code_is_read(code):
    assert read(make_frame(CLOSE, code.to_bytes(2, "big") + b"why")) == [Close(code.to_bytes(2, "big"))]


VIOLATIONS = {
    "unmasked": make_frame(TEXT, b"[]", masked=False),
    "a reserved bit": make_frame(TEXT, b"[]", reserved=1),
    "another reserved bit": make_frame(TEXT, b"[]", reserved=2),
    "a compressed message": make_frame(TEXT, b"[]", reserved=COMPRESSED),
    "a reserved opcode": make_frame(3, b"x"),
    "a reserved control opcode": make_frame(11, b"x"),
    "a ping over 125 bytes": make_frame(PING, b"x" * 126),
    "a close of 64 bits": b"\x88\xff" + bytes(12),
    "a ping in fragments": make_frame(PING, b"x", final=False),
    "a compressed ping": make_frame(PING, b"x", reserved=COMPRESSED),
    "a close of one byte": make_frame(CLOSE, b"x"),
    "a close with an invalid reason": make_frame(CLOSE, b"\x03\xe8\xff"),
    **{f"close {code}": make_frame(CLOSE, code.to_bytes(2, "big")) for code in (0, 999, 1004, 1005, 1006, 1015, 2999)},
    "close 5000": make_frame(CLOSE, (5000).to_bytes(2, "big")),
    "no message to continue": make_frame(0, b"x"),
    "a length in 16 bits that fits in 7": b"\x81\xfe\x00\x7d" + bytes(4),
    "a length in 64 bits that fits in 16": b"\x81\xff" + (65_535).to_bytes(8, "big") + bytes(4),
    "zeros": bytes(100),
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("data", VIOLATIONS.values(), ids=VIOLATIONS)
def test_a_violation_of_the_protocol_ends_the_reading(data):
    assert read(data + make_frame(TEXT, b"x")) == [PROTOCOL_ERROR]
    assert read(*in_bytes(data), make_frame(TEXT, b"x")) == [PROTOCOL_ERROR]


def test_a_new_message_inside_a_fragmented_one_is_a_violation():
    assert read(make_frame(TEXT, b"x", final=False) + make_frame(TEXT, b"x")) == [Fragment(), PROTOCOL_ERROR]


@pytest.mark.parametrize("text", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"])
def test_invalid_utf_8_ends_the_reading(text):
    assert read(make_frame(TEXT, text), make_frame(TEXT, b"x")) == [INVALID_DATA]
    assert read(make_frame(TEXT, b"", final=False) + make_frame(0, text)) == [Fragment(), INVALID_DATA]


@pytest.mark.parametrize("size", [MAX_BYTES + 1, 2**32, 2**63 - 1, 2**64 - 1])
def test_a_message_over_the_limit_ends_the_reading_at_its_header(size):
    header = b"\x81\xff" + size.to_bytes(8, "big") + bytes(4)
    assert read(header) == [TooLarge(size)]
    assert read(header, make_frame(TEXT, b"x")) == [TooLarge(size)]


def test_fragments_over_the_limit_together_end_the_reading():
    half = make_frame(TEXT, b"x" * 40_000, final=False)
    assert read(half, make_frame(0, b"x" * 30_000)) == [Fragment(), TextMessage("x" * MAX_BYTES)]
    assert read(half, make_frame(0, b"x" * 30_001)) == [Fragment(), TooLarge(MAX_BYTES + 1)]


def test_control_frames_do_not_count_for_the_size_of_a_message():
    full = make_frame(TEXT, b"x" * MAX_BYTES, final=False)
    assert read(full + make_frame(PING, b"p"), make_frame(0))[-1] == TextMessage("x" * MAX_BYTES)


def test_a_compressed_message_is_decompressed_as_a_whole():
    frames = make_frame(TEXT, b"cba", reserved=COMPRESSED)
    frames += make_frame(BINARY, b"fe", final=False, reserved=COMPRESSED) + make_frame(0, b"d")
    frames += make_frame(TEXT, b"plain", final=False) + make_frame(0, b"!")
    expected = [TextMessage("abc"), Fragment(), BinaryMessage(b"def"), Fragment(), TextMessage("plain!")]
    assert read(frames, extension=Reversal()) == expected


@pytest.mark.parametrize(
    ("frames", "event"),
    [
        (make_frame(TEXT, b"bad", reserved=COMPRESSED), INVALID_DATA),
        (make_frame(TEXT, b"bomb", reserved=COMPRESSED), TooLarge(MAX_BYTES + 1)),
        (make_frame(TEXT, b"\xff", reserved=COMPRESSED), INVALID_DATA),
        (make_frame(PING, b"x", reserved=COMPRESSED), PROTOCOL_ERROR),
    ],
)
def test_a_compressed_message_that_is_invalid_ends_the_reading(frames, event):
    assert read(frames + make_frame(TEXT, b"x"), extension=Reversal()) == [event]


def test_a_compressed_continuation_is_a_violation():
    frames = make_frame(TEXT, b"x", final=False) + make_frame(0, b"x", reserved=COMPRESSED)
    assert read(frames, extension=Reversal()) == [Fragment(), PROTOCOL_ERROR]


def test_compression_is_negotiated_only_with_batches_and_only_if_the_gateway_compresses():
    deflate, batch = Deflate(Compressor()), ConnectionOptions(batch=True)
    assert negotiate("permessage-deflate", batch, deflate) is deflate
    assert negotiate("permessage-deflate", ConnectionOptions(), deflate) is None
    assert negotiate("permessage-deflate", batch, None) is None
    assert negotiate("", batch, deflate) is None


def test_a_compressed_message_is_decompressed_also_from_fragments():
    deflate, hello = Deflate(Compressor()), bytes.fromhex("f248cdc9c90700")
    whole = make_frame(TEXT, hello, reserved=4)
    fragments = make_frame(TEXT, hello[:3], reserved=4, final=False) + make_frame(0, hello[3:])
    assert read(whole, extension=deflate) == [TextMessage("Hello")]
    assert read(fragments, extension=deflate) == [Fragment(), TextMessage("Hello")]
    assert read(make_frame(TEXT, b"\xff" * 20, reserved=4), extension=deflate) == [INVALID_DATA]
    assert read(make_frame(TEXT, hello, reserved=4)) == [PROTOCOL_ERROR]


@pytest.mark.parametrize("code", [b"", b"\x0f\xa1"])
def test_a_close_frame_has_a_code_or_none(code):
    assert close_frame(code) == bytes((0x88, len(code))) + code


def make_noise(rng):
    """Makes random bytes, or a valid frame of which a few bytes are changed."""
    if rng.random() < 0.3:
        return rng.randbytes(rng.randrange(40))
    opcode = rng.choice([0, TEXT, BINARY, CLOSE, PING, PONG, rng.randrange(16)])
    frame = bytearray(make_frame(opcode, rng.randbytes(rng.choice([0, 2, 5, 130])), final=rng.random() < 0.7))
    if rng.random() < 0.3:
        frame[rng.randrange(len(frame))] = rng.randrange(256)
    return bytes(frame)


@pytest.mark.parametrize("extension", [None, Reversal()], ids=["plain", "extension"])
def test_random_bytes_never_raise_and_read_the_same_in_any_pieces(extension):
    rng = random.Random(6455)
    for _ in range(3_000):
        data = b"".join(make_noise(rng) for _ in range(rng.randrange(1, 12)))
        whole = read(data, max_bytes=200, extension=extension)
        assert len(whole) <= len(data) / 6 + 1
        assert all(isinstance(event, EVENTS) for event in whole)
        assert all(not isinstance(event, Close | Failure | TooLarge) for event in whole[:-1])
        cuts = sorted(rng.randrange(len(data) + 1) for _ in range(3))
        pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        assert read(*pieces, max_bytes=200, extension=extension) == whole
