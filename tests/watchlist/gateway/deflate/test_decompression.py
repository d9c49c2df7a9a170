"""Messages of clients are decompressed within a limit."""

import random
import zlib

import pytest

from watchlist.gateway.deflate.decompression import (
    MAX_STREAMS,
    BadCompression,
    DecompressedTooLarge,
    decompress,
)

REQUEST = b'{"action":"subscribe","payload":{"symbols":["AAPL","GOOG"]},"id":"1"}'


def compress(payload, *, level=6, final=False):
    stream = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    if final:
        return stream.compress(payload) + stream.flush(zlib.Z_FINISH)
    return (stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


@pytest.mark.parametrize("payload", [b"", b"x", REQUEST, REQUEST * 100, bytes(range(256)) * 20])
@pytest.mark.parametrize("level", [0, 1, 9])
def test_a_message_is_decompressed(payload, level):
    assert decompress(compress(payload, level=level), 64 * 1024) == payload


def test_the_examples_of_rfc_7692_are_decompressed():
    hello = [
        "f248cdc9c90700",  # 7.2.3.1: one block
        "000500faff48656c6c6f00",  # 7.2.3.3: no compression
        "f348cdc9c9070000",  # 7.2.3.4: a final block
        "f24805000000ffffcac9c90700",  # 7.2.3.5: two blocks
    ]
    assert [decompress(bytes.fromhex(text), 100) for text in hello] == [b"Hello"] * 4
    assert decompress(b"\x00", 100) == b""  # 7.2.3.6: an empty message


def test_a_message_may_go_on_after_a_final_block_and_refer_to_what_came_before():
    second = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=REQUEST)
    rest = (second.compress(REQUEST) + second.flush(zlib.Z_SYNC_FLUSH))[:-4]
    assert len(rest) < 10
    assert decompress(compress(REQUEST, final=True) + rest, 1000) == REQUEST * 2


def test_a_message_may_end_with_a_final_block():
    assert decompress(compress(REQUEST, final=True), 1000) == REQUEST


def test_many_final_blocks_are_refused():
    empty = compress(b"", final=True)
    assert decompress(empty * (MAX_STREAMS - 1) + b"\x00", 1000) == b""
    with pytest.raises(BadCompression, match="final blocks"):
        decompress(empty * MAX_STREAMS + b"\x00", 1000)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x07",
        b"\xff" * 20,
        REQUEST,
        compress(REQUEST)[:-3],
        compress(REQUEST)[:10],
        compress(REQUEST) + b"\x00\x01",
        compress(REQUEST, final=True) + b"\xff",
        zlib.compress(REQUEST),
    ],
)
def test_what_no_compressor_makes_is_refused(payload):
    with pytest.raises(BadCompression):
        decompress(payload, 1000)


def test_a_message_that_ends_inside_a_block_is_refused():
    with pytest.raises(BadCompression, match="too early"):
        decompress(b"\x00\x10\x00\xef\xff" + b"four", 1000)


def test_a_message_of_the_limit_is_decompressed_and_a_longer_one_is_refused():
    assert decompress(compress(b"x" * 1000), 1000) == b"x" * 1000
    with pytest.raises(DecompressedTooLarge, match="decompressed"):
        decompress(compress(b"x" * 1001), 1000)
    with pytest.raises(DecompressedTooLarge, match="decompressed"):
        decompress(compress(b"x" * 600, final=True) + compress(b"x" * 401), 1000)


def test_a_bomb_is_decompressed_only_up_to_the_limit():
    bomb = compress(bytes(50_000_000), level=9)
    assert len(bomb) < 64 * 1024
    with pytest.raises(DecompressedTooLarge, match="decompressed"):
        decompress(bomb, 64 * 1024)


def test_a_payload_over_the_limit_is_refused_before_decompression():
    with pytest.raises(DecompressedTooLarge, match="more than 1000 compressed bytes"):
        decompress(b"\x00\x00\x00\xff\xff" * 201, 1000)


def test_random_payloads_are_decompressed_or_refused():
    rng = random.Random(7)
    good = compress(REQUEST * 3)
    for _ in range(2000):
        damaged = bytearray(good[: rng.randrange(1, len(good) + 1)])
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            assert len(decompress(bytes(damaged), 1000)) <= 1000
        except (BadCompression, DecompressedTooLarge):
            continue
