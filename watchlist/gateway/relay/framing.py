"""Encodes and decodes what the relay and the gateway processes send each other. Pure.

The relay subscribes to Redis for all gateway processes of a machine. The relay sends PREAMBLE first, and the gateway
process answers with PREAMBLE. Frames follow in both directions. A frame consists of the length of the rest (4 bytes),
the kind (1 byte) and the content. All numbers are big-endian. These kinds have a content:

- `UPDATES`: messages. A message consists of the length of the channel (2 bytes), the length of the data (4 bytes), the
  channel and the data.
- `JOIN`, `LEAVE`, `JOINED`, `REFUSED`: a JSON list of group names. A group is a Redis channel.
"""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from struct import Struct

import msgspec

from feeds.wire import MAX_VALUE_BYTES

VERSION = 1
"""The version in PREAMBLE. Change this number with each change of the frames."""
PREAMBLE = b"stockwatch relay %d\n" % VERSION
FRAME = Struct("!IB")
LENGTH = Struct("!I")
MESSAGE = Struct("!HI")
MAX_FRAME_BYTES = 1024 * 1024
"""The maximum length of a frame in bytes, without the first 4 bytes."""
BATCH_BYTES = 256 * 1024
"""The content of a frame with several messages is shorter than this number of bytes."""
MAX_NAMES = 1000
"""The most group names in one frame."""
MAX_NAME_BYTES = 512
"""The maximum length of a group name in bytes."""

_encode_names = msgspec.json.Encoder().encode
_decode_names = msgspec.json.Decoder(list[str]).decode


class BadFrame(ValueError):
    """The other side has sent an invalid frame, or uses another VERSION."""


class Kind(IntEnum):
    """The kinds of frames.

    A group is a Redis channel. A gateway process sends JOIN to get the messages of groups, and LEAVE to get no more
    messages of these groups. The relay sends all other kinds:

    - UPDATES: messages of groups that the process has joined,
    - JOINED: Redis has confirmed these groups,
    - REFUSED: Redis has not confirmed these groups, and the process must join again,
    - LOST: the relay has lost its connection to Redis,
    - BACK: the relay has a connection to Redis again,
    - BEAT: sent every second, to show that the relay works.
    """

    UPDATES = 1
    JOINED = 2
    REFUSED = 3
    LOST = 4
    BACK = 5
    BEAT = 6
    JOIN = 7
    LEAVE = 8


class FrameReader:
    """Splits the bytes of one connection into frames."""

    def __init__(self) -> None:
        self.greeted = False
        """Whether the PREAMBLE of the other side has arrived."""
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Takes the next bytes of the connection. Returns the kind and the content of each frame that is now complete.

        Raises BadFrame if the other side has another VERSION, or if a frame is empty or too long.
        """
        data = self._rest + data
        position, frames = 0, []
        if not self.greeted:
            if not PREAMBLE.startswith(data[: len(PREAMBLE)]):
                raise BadFrame("the other side speaks another version of the relay's protocol")
            self.greeted = len(data) >= len(PREAMBLE)
            position = len(PREAMBLE) if self.greeted else 0
        while self.greeted and len(data) >= position + FRAME.size:
            length, kind = FRAME.unpack_from(data, position)
            if not 1 <= length <= MAX_FRAME_BYTES:
                raise BadFrame(f"a frame has {length} bytes instead of 1 to {MAX_FRAME_BYTES}")
            if len(data) < position + LENGTH.size + length:
                break
            end = position + LENGTH.size + length
            frames.append((kind, data[position + FRAME.size : end]))
            position = end
        self._rest = data[position:]
        return frames


def encode_frame(kind: Kind, content: bytes = b"") -> bytes:
    return FRAME.pack(len(content) + 1, kind) + content


def encode_names(kind: Kind, names: Iterable[str]) -> bytes:
    """Returns frames with these group names, at most MAX_NAMES names per frame.

    Returns no bytes if `names` is empty.
    """
    every = list(names)
    parts = (every[start : start + MAX_NAMES] for start in range(0, len(every), MAX_NAMES))
    return b"".join(encode_frame(kind, _encode_names(part)) for part in parts)


def decode_names(content: bytes) -> list[str]:
    """Returns the group names in the content of a frame. Raises BadFrame."""
    try:
        names = _decode_names(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadFrame("a frame has no list of names") from error
    if len(names) > MAX_NAMES or any(len(name.encode()) > MAX_NAME_BYTES for name in names):
        raise BadFrame("a frame has too many names, or too long ones")
    return names


def encode_message(channel: bytes, data: bytes) -> bytes:
    """Encodes one message for `encode_updates`.

    If `data` is longer than MAX_VALUE_BYTES, only the first MAX_VALUE_BYTES + 1 bytes are encoded.
    """
    if len(data) > MAX_VALUE_BYTES:  # The hub refuses the cut data too, because they are still too long.
        data = data[: MAX_VALUE_BYTES + 1]
    return MESSAGE.pack(len(channel), len(data)) + channel + data


def encode_updates(messages: list[bytes]) -> Iterator[bytes]:
    """Yields UPDATES frames. `messages` are results of `encode_message`."""
    content = b"".join(messages)
    if len(content) < BATCH_BYTES:
        yield encode_frame(Kind.UPDATES, content)
        return
    batch: list[bytes] = []
    size = 0
    for message in messages:
        if batch and size + len(message) >= BATCH_BYTES:
            yield encode_frame(Kind.UPDATES, b"".join(batch))
            batch, size = [], 0
        batch.append(message)
        size += len(message)
    yield encode_frame(Kind.UPDATES, b"".join(batch))


def decode_updates(content: bytes) -> list[tuple[bytes, bytes]]:
    """Returns the channel and the data of each message in the content of an UPDATES frame. Raises BadFrame."""
    messages, position, end = [], 0, len(content)
    unpack, header = MESSAGE.unpack_from, MESSAGE.size
    while position < end:
        if position + header > end:
            raise BadFrame("a frame ends inside a message")
        name_length, data_length = unpack(content, position)
        start = position + header
        middle = start + name_length
        position = middle + data_length
        messages.append((content[start:middle], content[middle:position]))
    if position > end:
        raise BadFrame("a frame ends inside a message")
    return messages
