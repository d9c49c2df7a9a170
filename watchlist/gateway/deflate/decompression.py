"""Decompresses a client's message (RFC 7692), and limits the size of the message. Pure."""

import zlib

from watchlist.errors import WatchlistError

# Without the final block, zlib would not report a message that ends too early.
END = b"\x00\x00\xff\xff\x03\x00"
"""`decompress` adds these bytes to each message: the four bytes that the sender left out, and an empty final block."""
WINDOW_BYTES = 32 * 1024
MAX_STREAMS = 8
"""The most deflate streams in one message. After a final block, a sender may begin another stream."""


class BadCompression(WatchlistError):
    """The compressed bytes of a message are invalid. The connection must be closed with code 1007."""


class DecompressedTooLarge(WatchlistError):
    """A message has more bytes than allowed, before or after decompression."""


def decompress(payload: bytes, limit: int) -> bytes:
    """Returns the decompressed payload of a whole message. Raises BadCompression or DecompressedTooLarge.

    `payload` is the joined payload of all frames of the message. `limit` is the maximum number of bytes, before and
    after decompression.
    """
    if len(payload) > limit:  # otherwise a megabyte of empty blocks would take the time of a megabyte
        raise DecompressedTooLarge(f"more than {limit} compressed bytes")
    message, rest = b"", payload + END
    for _ in range(MAX_STREAMS):
        stream = zlib.decompressobj(-zlib.MAX_WBITS, message[-WINDOW_BYTES:])
        try:
            message += stream.decompress(rest, limit + 1 - len(message))
        except zlib.error as error:
            raise BadCompression("not a deflate stream") from error
        if len(message) > limit:
            raise DecompressedTooLarge(f"more than {limit} decompressed bytes")
        rest = stream.unused_data
        if not stream.eof:
            raise BadCompression("the message ends too early")
        if rest in (b"", END):
            return message
    raise BadCompression("too many final blocks")
