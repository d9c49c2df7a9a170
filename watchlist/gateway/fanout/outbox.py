"""Sends messages to one socket, and keeps messages while the socket is stalled.

Pure: the transport is an argument. A stall begins when the socket does not take all bytes of a block, and ends when the
transport has sent these bytes. During a stall, the outbox keeps these messages:

- all replies,
- the newest state message of each key, as `StateMessage` describes,
- in mode `latest`, the newest update of each symbol,
- in mode `all`, the last `max_updates` updates of all symbols together.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from watchlist.gateway import protocol
from watchlist.gateway.counts import HubCounts
from watchlist.gateway.fanout.backlog import AllBacklog, LatestBacklog
from watchlist.gateway.fanout.delivery import Block, Delivery
from watchlist.gateway.framing import text_frame
from watchlist.gateway.messages import Message, ReplyMessage, StateMessage, UpdateMessage, make_state

MAX_REPLY_BYTES = 64 * 1024
"""The most bytes of replies that may wait for one client."""


class Transport(Protocol):
    """Writes bytes to a socket. Only the outbox calls `write` and `finish`."""

    direct: bool
    """Whether the transport writes to the connection without ASGI. Only such a transport can send pings."""

    def write(self, block: bytes) -> int:
        """Writes a block of complete frames. Returns how many bytes the socket took immediately.

        The transport does not keep the remaining bytes.
        """

    def finish(self, rest: bytes) -> None:
        """Sends `rest`, the unsent part of a frame, then calls `Outbox.resume`. `rest` may be empty."""

    def send_ping(self) -> None:
        """Sends a ping frame. Call this method only if `direct` is True."""

    def close(self, code: int) -> None:
        """Starts the closing handshake."""

    def abort(self) -> None:
        """Drops the connection without a closing handshake."""

    def release(self) -> None:
        """Releases the resources of a connection that has ended."""


class Outbox:
    """Sends the messages for one socket. Keeps the messages while the socket is stalled.

    `open` is False during a stall. `stalled_at` is the start of the last stall, in monotonic seconds. `closed` is True
    after `close`.
    """

    __slots__ = (
        "_backlog",
        "_clock",
        "_counts",
        "_losses",
        "_max_updates",
        "_replies",
        "_reply_bytes",
        "_states",
        "closed",
        "delivery",
        "open",
        "stalled_at",
        "symbols",
        "transport",
    )

    def __init__(
        self,
        transport: Transport,
        clock: Callable[[], float],
        delivery: Delivery | None = None,
        max_updates: int = 256,
        counts: HubCounts | None = None,
    ) -> None:
        """`clock` returns monotonic seconds. `max_updates` is how many updates mode `all` keeps.

        `counts` counts the updates that are never written, because the client does not read.
        """
        self.transport = transport
        self.symbols: frozenset[str] = frozenset()
        self.open = True
        self.closed = False
        self.stalled_at = 0.0
        self._clock = clock
        self._max_updates = max_updates
        self._replies: list[ReplyMessage] = []
        self._reply_bytes = 0
        self._states: dict[str, StateMessage] = {}
        self._losses: dict[str, tuple[int, int]] = {}
        self._counts = counts or HubCounts()
        self._backlog: LatestBacklog | AllBacklog = LatestBacklog(self._counts)
        self.delivery = Delivery()
        self.change_delivery(delivery or Delivery())

    def __len__(self) -> int:
        """Returns the number of messages that wait."""
        return len(self._replies) + len(self._states) + len(self._losses) + len(self._backlog)

    @property
    def conflated(self) -> int:
        """How many waiting updates were replaced or dropped since the last change of the mode."""
        return self._backlog.conflated

    @property
    def has_waiting_state(self) -> bool:
        return bool(self._states)

    def change_delivery(self, delivery: Delivery) -> None:
        """Changes the delivery. Drops the waiting updates that the new mode does not keep."""
        if delivery.keep_all != self.delivery.keep_all:
            updates = self._backlog.pop_all()
            self._backlog = self._make_backlog(delivery)
            for update in updates:
                self._backlog.add(update)
        self.delivery = delivery

    def write(self, block: Block) -> None:
        """Sends a block, which other sockets may share. Keeps the block's messages while the socket is stalled."""
        if self.closed:
            return
        if self.open:
            data = block.data
            sent = self.transport.write(data)
            if sent != len(data):
                self._stall(block, sent)
        else:
            self._keep(block.messages)

    def send(self, messages: Sequence[Message]) -> None:
        """Sends messages to this socket alone. Keeps the messages while the socket is stalled."""
        if messages:
            self.write(self.delivery.make_block(messages))

    def reply(self, payload: bytes) -> bool:
        """Sends a reply, or keeps the reply while the socket is stalled. `payload` is JSON text.

        Returns False if more than MAX_REPLY_BYTES of replies wait. The caller must then close the socket.
        """
        return self.reply_frame(text_frame(payload))

    def reply_frame(self, frame: bytes) -> bool:
        """Sends a complete frame, such as a pong frame, as a reply. Returns False in the same case as `reply`."""
        if not self.closed:
            self.write(Block((ReplyMessage(frame),), frame))
        return self._reply_bytes <= MAX_REPLY_BYTES

    def resume(self) -> None:
        """Sends the waiting messages: replies, then state messages, then updates.

        The transport calls this method when all bytes are sent.
        """
        if self.closed:
            return
        self.open = True
        waiting: list[Message] = [*self._replies, *self._states.values()]
        self._clear_replies_and_states()
        self.send(waiting)
        # State messages about losses are made only now: a later loss of the symbol would replace a waiting message.
        if self.open:
            self.send([*self._pop_losses(), *self._backlog.pop_all()])

    def discard(self, symbol: str) -> None:
        """Drops the waiting messages about a symbol."""
        # No message about the symbol may arrive after the reply to an unsubscribe.
        self._backlog.discard(symbol)
        self._losses.pop(symbol, None)
        for key in (symbol, loss_key(symbol)):
            self._states.pop(key, None)

    def close(self) -> None:
        """Drops all waiting messages and releases the transport. Later writes have no effect."""
        self.closed = True
        self._clear_replies_and_states()
        self._losses.clear()
        self._backlog.pop_all()
        self.transport.release()

    def _make_backlog(self, delivery: Delivery) -> LatestBacklog | AllBacklog:
        if delivery.keep_all:
            return AllBacklog(self._max_updates, self._losses, self._counts)
        return LatestBacklog(self._counts)

    def _clear_replies_and_states(self) -> None:
        self._replies, self._reply_bytes, self._states = [], 0, {}

    def _pop_losses(self) -> list[StateMessage]:
        messages = [make_state(loss_key(symbol), protocol.lost(symbol, *span)) for symbol, span in self._losses.items()]
        self._losses.clear()
        return messages

    def _stall(self, block: Block, sent: int) -> None:
        self.open = False
        self.stalled_at = self._clock()
        rest = b""
        for contained, frame in block.split():
            if sent >= len(frame):
                sent -= len(frame)
            elif sent > 0:
                # The socket took a part of this frame, so the transport must send the rest. Later frames are kept.
                rest, sent = frame[sent:], 0
            else:
                self._keep(contained)
        self.transport.finish(rest)

    def _keep(self, messages: Sequence[Message]) -> None:
        # `type() is` costs a quarter of a failing `isinstance`, and a stalled socket runs this for every update.
        for message in messages:
            if type(message) is UpdateMessage:
                self._backlog.add(message)
            elif type(message) is StateMessage:
                self._states[message.key] = message
            else:
                self._replies.append(message)
                self._reply_bytes += len(message.frame)


def loss_key(symbol: str) -> str:
    """Returns the key of the state message that reports the lost updates of a symbol."""
    return f"lost {symbol}"
