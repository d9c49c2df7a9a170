"""One socket's bounded buffer: open, it passes frames straight on; backed up, it keeps replies and one slot a symbol.

Pure: it is given the transport. The bound is: at most one frame begun in the transport, the newest update of each
subscribed symbol, and LARGEST_REPLIES bytes of replies. Replies are never dropped; a socket that does not read them and
still asks for more is closed instead.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from watchlist.gateway import protocol

LARGEST_REPLIES = 64 * 1024
"""Bytes of replies that wait for a socket which does not read."""

Item = tuple[str | None, bytes]
"""A symbol and the frame of its update, or None and the frame of a reply."""


class Transport(Protocol):
    """How bytes reach a socket. `write` and `finish` are the outbox's alone."""

    def write(self, block: bytes) -> int:
        """Hands over whole frames; returns how many bytes the kernel took now. What it did not take is not kept."""

    def finish(self, rest: bytes) -> None:
        """Keeps the rest of a frame that was begun, and calls the outbox's `drain` when all is gone."""

    def send_ping(self) -> None:
        """Sends a ping frame, where the server does not do that by itself."""

    def close(self, code: int) -> None:
        """Starts the closing handshake."""

    def abort(self) -> None:
        """Drops the connection, for a peer that no longer reads."""


class Outbox:
    """What the hub writes to. `open` is False while the socket is backed up; `stalled_at` is when that began."""

    __slots__ = (
        "_clock",
        "_replies",
        "_replies_size",
        "_slots",
        "closed",
        "open",
        "stalled_at",
        "symbols",
        "transport",
    )

    def __init__(self, transport: Transport, clock: Callable[[], float]) -> None:
        self.transport = transport
        self.symbols: frozenset[str] = frozenset()
        self.open = True
        self.closed = False
        self.stalled_at = 0.0
        self._clock = clock
        self._replies: list[bytes] = []
        self._replies_size = 0
        self._slots: dict[str, bytes] = {}

    def __len__(self) -> int:
        """Frames that wait."""
        return len(self._replies) + len(self._slots)

    def write(self, items: Sequence[Item], block: bytes) -> None:
        """Sends updates, or keeps the newest of each symbol; `block` is the items' frames, joined once for many."""
        if self.closed:
            return
        if self.open:
            sent = self.transport.write(block)
            if sent != len(block):
                self._stall(items, sent)
        else:
            self._hold(items)

    def reply(self, payload: bytes) -> bool:
        """Sends or keeps one reply. Returns False when more than LARGEST_REPLIES bytes wait: the caller closes."""
        if not self.closed:
            frame = protocol.text_frame(payload)
            self.write(((None, frame),), frame)
        return self._replies_size <= LARGEST_REPLIES

    def drain(self) -> None:
        """The transport is empty again: sends what waited, replies first, for they were asked for."""
        if self.closed:
            return
        items: list[Item] = [(None, frame) for frame in self._replies]
        items += self._slots.items()
        self._replies, self._slots, self._replies_size = [], {}, 0
        self.open = True
        if items:
            self.write(items, b"".join([frame for _, frame in items]))

    def forget(self, symbol: str) -> None:
        """After an unsubscribe nothing of the symbol may follow the acknowledgement."""
        self._slots.pop(symbol, None)

    def shut(self) -> None:
        """Nothing is sent or kept any more."""
        self.closed = True
        self._replies, self._slots, self._replies_size = [], {}, 0

    def _stall(self, items: Sequence[Item], sent: int) -> None:
        self.open = False
        self.stalled_at = self._clock()
        at = 0
        rest = b""
        for position, (_, frame) in enumerate(items):  # pragma: no branch - fewer bytes were sent than there are
            if at + len(frame) > sent:
                # The kernel stopped inside this frame, or right before it.
                begun = sent > at
                rest = frame[sent - at :] if begun else b""
                self._hold(items[position + begun :])
                break
            at += len(frame)
        self.transport.finish(rest)

    def _hold(self, items: Sequence[Item]) -> None:
        for symbol, frame in items:
            if symbol is None:
                self._replies.append(frame)
                self._replies_size += len(frame)
            else:
                self._slots[symbol] = frame
