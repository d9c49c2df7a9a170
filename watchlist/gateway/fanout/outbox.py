"""One socket's bounded buffer: open, it passes frames straight on; backed up, it keeps replies and what is newest.

Pure: it is given the transport. The bound is: one frame begun in the transport, LARGEST_REPLIES bytes of replies, one
fact of each key, and either one update a symbol (`latest`) or so many more in a row (`all`). Replies are never dropped;
a socket that does not read them and still asks for more is closed instead. Of facts and updates a socket keeps
references: their bytes are those that all sockets share.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from feeds.wire import decode
from watchlist.gateway import protocol
from watchlist.gateway.fanout.delivery import Delivery, Item, fact

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
    """What waits in mode `all`: the last so many updates, and what is older only where it is its symbol's newest.

    What falls out is noted in `losses`: the first and the last number of each symbol.
    """

    __slots__ = ("_items", "_kept", "_losses", "_most", "_newest")

    def __init__(self, most: int, losses: dict[str, tuple[int, int]]) -> None:
        self._most = most
        self._losses = losses
        self._items: deque[tuple[str, Item]] = deque()
        self._newest: dict[str, Item] = {}
        self._kept: dict[str, Item] = {}

    def __len__(self) -> int:
        return len(self._items) + len(self._kept)

    def add(self, symbol: str, item: Item) -> None:
        if symbol in self._kept:
            self._lose(symbol, self._kept.pop(symbol))
        self._items.append((symbol, item))
        self._newest[symbol] = item
        if len(self._items) > self._most:
            oldest, dropped = self._items.popleft()
            if self._newest[oldest] is dropped:
                self._kept[oldest] = dropped
            else:
                self._lose(oldest, dropped)

    def forget(self, symbol: str) -> None:
        self._items = deque(entry for entry in self._items if entry[0] != symbol)
        self._newest.pop(symbol, None)
        self._kept.pop(symbol, None)

    def take(self) -> list[Item]:
        taken = [*self._kept.values(), *(item for _, item in self._items)]
        self._items, self._newest, self._kept = deque(), {}, {}
        return taken

    def _lose(self, symbol: str, item: Item) -> None:
        seq = decode(item[2]).seq_id
        self._losses[symbol] = (self._losses.get(symbol, (seq, seq))[0], seq)


class Outbox:
    """What the hub writes to. `open` is False while the socket is backed up; `stalled_at` is when that began."""

    __slots__ = (
        "_backlog",
        "_clock",
        "_facts",
        "_losses",
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
        self._facts: dict[str, Item] = {}
        self._losses: dict[str, tuple[int, int]] = {}
        self._backlog: Newest | Queue = Newest()
        self.delivery = Delivery()
        self.adopt(delivery or Delivery())

    def __len__(self) -> int:
        """Frames that wait."""
        return len(self._replies) + len(self._facts) + len(self._losses) + len(self._backlog)

    @property
    def telling(self) -> bool:
        """Whether facts wait."""
        return bool(self._facts)

    def adopt(self, delivery: Delivery) -> None:
        """Changes how updates come; what waits goes on to wait."""
        if delivery.all != self.delivery.all:
            waiting = self._backlog.take()
            self._backlog = Queue(self._most, self._losses) if delivery.all else Newest()
            self._hold(waiting)
        self.delivery = delivery

    def write(self, items: Sequence[Item], block: bytes) -> None:
        """Sends items, or keeps what their kinds say; `block` is the items' frames, joined once for many sockets."""
        if self.closed:
            return
        if self.open:
            sent = self.transport.write(block)
            if sent != len(block):
                self._stall(items, sent)
        else:
            self._hold(items)

    def tell(self, items: Sequence[Item]) -> None:
        """`write` for one socket alone. Facts that wait close nobody, for they never grow to more than there are."""
        if items:
            self.write(items, self.delivery.block(items))

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
        self.open = True
        waiting = [*self._replies, *self._facts.values()]
        self._drop_told()
        self.tell(waiting)
        # Only now losses become facts: none that waits is ever replaced by a later one of the same symbol.
        if self.open:
            self.tell([*self._take_losses(), *self._backlog.take()])

    def forget(self, symbol: str) -> None:
        """After an unsubscribe nothing of the symbol may follow the acknowledgement."""
        self._backlog.forget(symbol)
        self._losses.pop(symbol, None)
        for key in (symbol, loss_key(symbol)):
            self._facts.pop(key, None)

    def shut(self) -> None:
        """Nothing is sent or kept any more."""
        self.closed = True
        self._drop_told()
        self._losses.clear()
        self._backlog.take()
        self.transport.release()

    def _drop_told(self) -> None:
        self._replies, self._replies_size, self._facts = [], 0, {}

    def _take_losses(self) -> list[Item]:
        lost = [fact(loss_key(symbol), protocol.lost(symbol, *span)) for symbol, span in self._losses.items()]
        self._losses.clear()
        return lost

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
            name, frame, update = item
            if name is None:
                self._replies.append(item)
                self._replies_size += len(frame)
            elif update:
                self._backlog.add(name, item)
            else:
                self._facts[name] = item


def loss_key(symbol: str) -> str:
    """The key of the fact that updates of the symbol were lost."""
    return f"lost {symbol}"
