"""Defines the delivery options of a socket, which say how the socket receives updates.

Pure. Sockets with the same symbols and the same delivery options share frames.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, final

import msgspec

from watchlist.errors import WatchlistError
from watchlist.gateway.deflate.compressor import Compressor
from watchlist.gateway.fanout.events import get_event
from watchlist.gateway.framing import text_frame
from watchlist.gateway.messages import Message, UpdateMessage

MAX_BATCH_BYTES = 16 * 1024  # if a slow socket takes only a part of a frame, the transport must keep the rest
"""The most bytes of updates in one array."""
MIN_HERTZ, MAX_HERTZ = 0.1, 50.0


class BadOptions(WatchlistError):
    """An option has an invalid value. The message of the error names the valid values."""


Framed = tuple[Sequence[Message], bytes]
"""Messages, and the frame that contains these messages."""


@final
class Block(msgspec.Struct, frozen=True, gc=False):
    """Messages with their frames, ready to be sent. Many sockets share a block.

    `data` holds the joined frames. `batches` holds each frame with its messages, or is None if each message is sent
    alone. If `events` is True, `data` holds server-sent events instead of frames.
    """

    messages: Sequence[Message]
    data: bytes
    batches: Sequence[Framed] | None = None
    events: bool = False

    def split(self) -> Sequence[Framed]:
        """Returns the frames or events of the block one by one, each with its messages."""
        if self.events:
            return [((message,), get_event(message)) for message in self.messages]
        # Compressed frames are not built again, because a new frame could differ from the frame in `data`.
        return [((message,), message.frame) for message in self.messages] if self.batches is None else self.batches


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a socket receives updates."""

    batch: bool = False
    """Whether a frame holds an array of updates. If False, a frame holds one update."""
    keep_all: bool = False
    """Whether the mode is `all`. If False, the mode is `latest`. The module `outbox` describes the modes."""
    hertz: float = 0.0
    """The most updates per second of each symbol. 0 means no limit."""
    snapshot: bool = True
    """Whether a new subscription starts with the newest known update of each symbol."""
    compressor: Compressor | None = field(default=None, repr=False)
    """Compresses arrays of updates. None if the client has not negotiated compression."""
    events: bool = False
    """Whether each update is a server-sent event. Events need `batch` and `keep_all` False."""

    @property
    def interval(self) -> float:
        """Returns the seconds between two writes of updates to a socket. 0 means that updates do not wait."""
        return max(0.02, round(1 / self.hertz, 2)) if self.hertz and not self.keep_all else 0.0

    @property
    def lasting(self) -> "Delivery":
        """Returns a copy with `snapshot` True. A `snapshot` of False applies only to the request that contains it."""
        return replace(self, snapshot=True)

    def with_options(self, options: Any) -> "Delivery":
        """Returns a copy of this delivery with the options of a request. Raises BadOptions if an option is invalid.

        An option that is not in the request keeps its value. Only a missing `snapshot` becomes True.
        """
        if options is None:
            return self.lasting
        if not isinstance(options, dict):
            raise BadOptions("options must be an object")
        mode = options.get("mode", "all" if self.keep_all else "latest")
        if mode not in ("latest", "all"):
            raise BadOptions('options.mode must be "latest" or "all"')
        snapshot = options.get("snapshot", True)
        if not isinstance(snapshot, bool):
            raise BadOptions("options.snapshot must be true or false")
        hertz = _parse_hertz(options["max_hz"]) if "max_hz" in options else self.hertz
        return replace(self, keep_all=mode == "all", hertz=hertz, snapshot=snapshot)

    def as_options(self) -> dict[str, Any]:
        """Returns the options for an `ack` reply, such as `{"mode": "latest", "max_hz": 2.0, "snapshot": True}`.

        `max_hz` is None if there is no limit. Mode `all` has no limit.
        """
        hertz = self.hertz if self.hertz and not self.keep_all else None
        return {"mode": "all" if self.keep_all else "latest", "max_hz": hertz, "snapshot": self.snapshot}

    def make_block(self, messages: Sequence[Message], sockets: int = 1) -> Block:
        """Returns a block with the messages. `sockets` is the number of sockets that share the block."""
        if self.events:
            return Block(messages, b"".join(map(get_event, messages)), events=True)
        if not self.batch:
            return Block(messages, b"".join([message.frame for message in messages]))
        batches = self.frame_messages(messages, sockets)
        return Block(messages, b"".join([frame for _, frame in batches]), batches)

    def frame_messages(self, messages: Sequence[Message], sockets: int = 1) -> list[Framed]:
        """Packs messages into frames for sockets with `batch`. Returns each frame with its messages.

        Consecutive updates share a frame, which may be compressed. A message of another kind has its own frame.
        """
        compressor = self.compressor
        make_frame = text_frame if compressor is None else partial(compressor.make_frame, sockets=sockets)
        framed: list[Framed] = []
        batch: list[UpdateMessage] = []
        size = 0
        for message in messages:
            if type(message) is not UpdateMessage:
                _end_batch(batch, framed, make_frame)
                batch = []
                framed.append(((message,), message.frame))
                continue
            if batch and size + len(message.payload) > MAX_BATCH_BYTES:
                _end_batch(batch, framed, make_frame)
                batch = []
            size = size + len(message.payload) if batch else len(message.payload)
            batch.append(message)
        _end_batch(batch, framed, make_frame)
        return framed


def _parse_hertz(value: Any) -> float:
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise BadOptions("options.max_hz must be null or a number that is not negative")
    return float(min(MAX_HERTZ, max(MIN_HERTZ, value)))


def _end_batch(batch: Sequence[UpdateMessage], framed: list[Framed], make_frame: Callable[[bytes], bytes]) -> None:
    if batch:
        framed.append((batch, make_frame(b"[" + b",".join([update.payload for update in batch]) + b"]")))
