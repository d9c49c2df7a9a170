"""Reads the WebSocket frames (RFC 6455) of a client.

Pure: no I/O. `FrameReader.read` takes the received bytes in pieces of any size, and yields an event for each complete
frame. Invalid input yields a `Failure`, and never raises an error.
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import final

import msgspec

from watchlist.gateway.deflate.decompression import BadCompression, DecompressedTooLarge
from watchlist.gateway.framing import frame_header
from watchlist.gateway.front.extensions import Extension


class Opcode(IntEnum):
    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class FailureCode(IntEnum):
    """Close codes of RFC 6455 for frames that the gateway does not accept."""

    PROTOCOL_ERROR = 1002
    INVALID_DATA = 1007
    TOO_LARGE = 1009


FINAL, RESERVED_1, MASKED = 0x80, 0x40, 0x80
"""FINAL and RESERVED_1 are bits of the first byte of a frame. MASKED is a bit of the second byte."""
PLAIN_FIRST_BYTES = frozenset({0x00, 0x80, 0x01, 0x81, 0x02, 0x82, 0x88, 0x89, 0x8A})
"""All valid first bytes of a frame without an extension. No reserved bit is set. Control frames have FINAL."""
COMPRESSED_FIRST_BYTES = PLAIN_FIRST_BYTES | {0x41, 0xC1, 0x42, 0xC2}
"""All valid first bytes of a frame with an extension. The first frame of a compressed message has RESERVED_1."""
MAX_CONTROL_BYTES = 125
HEADER_BYTES = {126: 8, 127: 14}
"""Maps the length in the second byte of a frame to the size of the frame's header in bytes.

The header includes the mask. For all other lengths, the header has 6 bytes.
"""
MIN_LENGTHS = {8: 126, 14: 65536}
"""Maps the size of a header to the smallest payload that may have such a header. Both sizes are in bytes."""
VALID_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})
"""The close codes below 3000 that a client may send."""


@final
class TextMessage(msgspec.Struct, frozen=True, gc=False):
    text: str


@final
class BinaryMessage(msgspec.Struct, frozen=True, gc=False):
    data: bytes


@final
class Fragment(msgspec.Struct, frozen=True, gc=False):
    """A frame that is not the last frame of its message."""


@final
class Ping(msgspec.Struct, frozen=True, gc=False):
    payload: bytes


@final
class Pong(msgspec.Struct, frozen=True, gc=False):
    """A pong frame. Its payload does not matter, because the gateway's pings are empty."""


@final
class Close(msgspec.Struct, frozen=True, gc=False):
    """A close frame. `code` is the close code in two bytes, big-endian. `code` is empty if the frame has no code."""

    code: bytes


@final
class TooLarge(msgspec.Struct, frozen=True, gc=False):
    """The client sends a message above the limit, with at least `size` bytes. No further event follows."""

    size: int


@final
class Failure(msgspec.Struct, frozen=True, gc=False):
    """The client has broken the WebSocket protocol. `code` is the close code to send. No further event follows."""

    code: FailureCode


Event = TextMessage | BinaryMessage | Fragment | Ping | Pong | Close | TooLarge | Failure

FRAGMENT, PONG = Fragment(), Pong()
PROTOCOL_ERROR = Failure(FailureCode.PROTOCOL_ERROR)
INVALID_DATA = Failure(FailureCode.INVALID_DATA)


class FrameReader:
    """Reads the frames of one connection.

    `max_bytes` is the most bytes of a message. `extension` is the negotiated extension, or None. After a `Close`,
    `TooLarge` or `Failure`, the reader ignores all input.
    """

    __slots__ = ("_compressed", "_ended", "_extension", "_kind", "_max_bytes", "_message", "_needed", "_partial")

    def __init__(self, max_bytes: int, extension: Extension | None = None) -> None:
        self._max_bytes = max_bytes
        self._extension = extension
        self._ended = False
        self._partial: bytearray | None = None
        """The bytes of an incomplete frame. `read` waits until `_partial` has `_needed` bytes."""
        self._needed = 0
        self._message: bytearray | None = None
        """The joined payloads of an incomplete message. The first frame sets `_kind` and `_compressed`."""
        self._kind = 0
        self._compressed = False

    def read(self, data: bytes) -> Iterator[Event]:
        """Takes the next bytes of the connection, and yields an event for each complete frame.

        Keeps an incomplete frame for the next call. If the caller stops the iteration early, the remaining bytes are
        dropped.
        """
        if self._partial is not None:
            self._partial += data
            if len(self._partial) < self._needed:
                return
            data, self._partial = bytes(self._partial), None
        start = 0
        while start < len(data) and not self._ended:
            size = self._measure(data, start)
            if not isinstance(size, int):
                yield self._end(size)
            elif start + size > len(data):
                self._partial, self._needed = bytearray(data[start:]), size
                return
            else:
                yield self._take(data, start, start + size)
                start += size

    def _measure(self, data: bytes, start: int) -> int | Failure | TooLarge:
        """Returns the size of the frame at `start` in bytes.

        If the header is incomplete, returns how many bytes the next check needs. If the frame is not acceptable,
        returns a Failure or TooLarge.
        """
        available = len(data) - start
        if available < 2:
            return 2
        first, length = data[start], data[start + 1] & 0x7F
        if not data[start + 1] & MASKED or self._is_invalid(first, length):
            return PROTOCOL_ERROR
        header = HEADER_BYTES.get(length, 6)
        if header > 6:
            if available < header:
                return header
            length = int.from_bytes(data[start + 2 : start + header - 4], "big")
            if length < MIN_LENGTHS[header]:
                return PROTOCOL_ERROR
        message_bytes = length + (len(self._message) if self._message is not None else 0)
        if first & 8 == 0 and message_bytes > self._max_bytes:
            return TooLarge(message_bytes)
        return header + length

    def _is_invalid(self, first: int, length: int) -> bool:
        """Returns whether a frame with this first byte, and this length in the second byte, is not allowed now.

        For example, a frame that continues a message is not allowed if no message has begun.
        """
        if first not in (PLAIN_FIRST_BYTES if self._extension is None else COMPRESSED_FIRST_BYTES):
            return True
        if first & 8:
            return length > MAX_CONTROL_BYTES
        return (first & 15 == Opcode.CONTINUATION) != (self._message is not None)

    def _take(self, data: bytes, start: int, end: int) -> Event:
        """Reads the complete frame `data[start:end]`, and returns the frame's event."""
        body = start + HEADER_BYTES.get(data[start + 1] & 0x7F, 6)
        payload = unmask(data[body:end], data[body - 4 : body])
        first, opcode = data[start], data[start] & 15
        if opcode > 7:
            return self._take_control(opcode, payload)
        if opcode:
            if first & FINAL:
                return self._finish(opcode, bool(first & RESERVED_1), payload)
            self._message, self._kind, self._compressed = bytearray(), opcode, bool(first & RESERVED_1)
        assert self._message is not None  # noqa: S101 - `_is_invalid` has checked it
        self._message += payload
        if not first & FINAL:
            return FRAGMENT
        message, self._message = bytes(self._message), None
        return self._finish(self._kind, self._compressed, message)

    def _take_control(self, opcode: int, payload: bytes) -> Event:
        if opcode == Opcode.PING:
            return Ping(payload)
        if opcode == Opcode.PONG:
            return PONG
        return self._end(Close(payload[:2]) if is_close_payload(payload) else PROTOCOL_ERROR)

    def _finish(self, kind: int, compressed: bool, payload: bytes) -> Event:
        """Returns the event of a complete message, or a Failure or TooLarge if the payload cannot be decoded."""
        if compressed and self._extension is not None:
            try:
                payload = self._extension.decompress(payload, self._max_bytes)
            except BadCompression:
                return self._end(INVALID_DATA)
            except DecompressedTooLarge:
                return self._end(TooLarge(self._max_bytes + 1))
        if kind == Opcode.BINARY:
            return BinaryMessage(payload)
        try:
            return TextMessage(payload.decode())
        except UnicodeDecodeError:
            return self._end(INVALID_DATA)

    def _end(self, event: Event) -> Event:
        self._ended = True
        self._partial = self._message = None
        return event


def unmask(payload: bytes, mask: bytes) -> bytes:
    """Removes the mask of four bytes from a payload."""
    size = len(payload)
    masks = (mask * (size // 4 + 1))[:size]  # one XOR of two large integers is faster than a loop
    return (int.from_bytes(payload, "little") ^ int.from_bytes(masks, "little")).to_bytes(size, "little")


def is_close_payload(payload: bytes) -> bool:
    """Returns whether a client may send this payload in a close frame."""
    if len(payload) < 2:
        return not payload
    code = int.from_bytes(payload[:2], "big")
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        return False
    return code in VALID_CLOSE_CODES or 3000 <= code < 5000


def close_frame(code: bytes) -> bytes:
    """Returns a close frame. `code` is two bytes, or empty for a frame without a code."""
    return frame_header(0x88, len(code)) + code
