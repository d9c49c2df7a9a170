"""One socket's bounded buffer: open, it passes frames straight on; backed up, it keeps replies and what is newest.

Pure: it is given the transport. The bound is: one frame begun in the transport, LARGEST_REPLIES bytes of replies, and
either one slot a symbol (`latest`) or so many updates in a row (`all`). Replies are never dropped; a socket that does
not read them and still asks for more is closed instead.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from feeds.wire import decode
from watchlist.gateway import protocol
from watchlist.gateway.delivery import Delivery, Item

LARGEST_REPLIES = 64 * 1024
"""Bytes of replies that wait for a socket which does not read."""


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

    def release(self) -> None:
        """Lets go of a connection that is gone."""


class Newest:
    """What waits in mode `latest`: a slot a symbol, the newest wins."""

    __slots__ = ("_slots",)

    def __init__(self) -> None:
        self._slots: dict[str, Item] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def add(self, symbol: str, item: Item) -> None:
        self._slots[symbol] = item

    def forget(self, symbol: str) -> None:
        self._slots.pop(symbol, None)

    def take(self) -> list[Item]:
        taken, self._slots = list(self._slots.values()), {}
        return taken


class Queue:
    """What waits in mode `all`: the last so many updates, and for each symbol which numbers before them were lost."""

    __slots__ = ("_items", "_lost", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: deque[tuple[str, Item]] = deque()
        self._lost: dict[str, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._items) + len(self._lost)

    def add(self, symbol: str, item: Item) -> None:
        self._items.append((symbol, item))
        if len(self._items) > self._most:
            oldest, dropped = self._items.popleft()
            seq = decode(dropped[2]).seq_id
            self._lost[oldest] = (self._lost.get(oldest, (seq, seq))[0], seq)

    def forget(self, symbol: str) -> None:
        self._items = deque(entry for entry in self._items if entry[0] != symbol)
        self._lost.pop(symbol, None)

    def take(self) -> list[Item]:
        lost = [(None, protocol.text_frame(protocol.lost(symbol, *span)), b"") for symbol, span in self._lost.items()]
        taken: list[Item] = [*lost, *(item for _, item in self._items)]
        self._items, self._lost = deque(), {}
        return taken


class Outbox:
    """What the hub writes to. `open` is False while the socket is backed up; `stalled_at` is when that began."""

    __slots__ = (
        "_backlog",
        "_clock",
        "_most",
        "_replies",
        "_replies_size",
        "closed",
        "delivery",
        "open",
        "stalled_at",
        "symbols",
        "transport",
    )

    def __init__(
        self, transport: Transport, clock: Callable[[], float], delivery: Delivery | None = None, most: int = 256
    ) -> None:
        self.transport = transport
        self.symbols: frozenset[str] = frozenset()
        self.open = True
        self.closed = False
        self.stalled_at = 0.0
        self._clock = clock
        self._most = most
        self._replies: list[Item] = []
        self._replies_size = 0
        self._backlog: Newest | Queue = Newest()
        self.delivery = Delivery()
        self.adopt(delivery or Delivery())

    def __len__(self) -> int:
        """Frames that wait."""
        return len(self._replies) + len(self._backlog)

    def adopt(self, delivery: Delivery) -> None:
        """Changes how updates come; what waits goes on to wait."""
        if delivery.all != self.delivery.all:
            waiting = self._backlog.take()
            self._backlog = Queue(self._most) if delivery.all else Newest()
            self._hold(waiting)
        self.delivery = delivery

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
        return self.reply_frame(protocol.text_frame(payload))

    def reply_frame(self, frame: bytes) -> bool:
        """`reply` for a frame that is made already, such as a pong."""
        if not self.closed:
            self.write(((None, frame, b""),), frame)
        return self._replies_size <= LARGEST_REPLIES

    def drain(self) -> None:
        """The transport is empty again: sends what waited, replies first, for they were asked for."""
        if self.closed:
            return
        items = [*self._replies, *self._backlog.take()]
        self._replies, self._replies_size = [], 0
        self.open = True
        if items:
            self.write(items, self.delivery.block(items))

    def forget(self, symbol: str) -> None:
        """After an unsubscribe nothing of the symbol may follow the acknowledgement."""
        self._backlog.forget(symbol)

    def shut(self) -> None:
        """Nothing is sent or kept any more."""
        self.closed = True
        self._replies, self._replies_size = [], 0
        self._backlog.take()
        self.transport.release()

    def _stall(self, items: Sequence[Item], sent: int) -> None:
        self.open = False
        self.stalled_at = self._clock()
        rest = b""
        for inside, frame in self.delivery.pieces(items):
            if sent >= len(frame):
                sent -= len(frame)
            elif sent > 0:
                # The kernel stopped inside this frame: it is finished, the ones behind it are not begun.
                rest, sent = frame[sent:], 0
            else:
                self._hold(inside)
        self.transport.finish(rest)

    def _hold(self, items: Sequence[Item]) -> None:
        for item in items:
            if item[0] is None:
                self._replies.append(item)
                self._replies_size += len(item[1])
            else:
                self._backlog.add(item[0], item)
