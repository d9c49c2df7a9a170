"""One client's conversation: what it asks, what it may ask, what it is told, and when it must go.

Synchronous and without I/O: text comes in, replies leave by the outbox, updates by the hub. Time is an argument.
"""

from collections import deque
from typing import TYPE_CHECKING

from watchlist.gateway import protocol
from watchlist.gateway.fanout.delivery import BadOptions, fact
from watchlist.gateway.fanout.outbox import Outbox
from watchlist.gateway.protocol import BadRequest, Close, Code, ConnectionOptions, Request
from watchlist.gateway.sockets.token_bucket import TokenBucket

if TYPE_CHECKING:
    from watchlist.gateway.gateway import Gateway


NONE = ConnectionOptions()


class Session:
    """What the gateway keeps of one accepted socket; `now` arguments are monotonic seconds."""

    __slots__ = (
        "_action_mode",
        "_allowance",
        "_bad",
        "_beat_at",
        "_beats",
        "_frames",
        "_gateway",
        "_refusals",
        "asked",
        "closing",
        "outbox",
        "pinged",
        "ponged",
        "since",
        "wishes",
    )

    def __init__(self, gateway: "Gateway", outbox: Outbox, now: float, wishes: ConnectionOptions = NONE) -> None:
        self._gateway = gateway
        limits = gateway.limits
        self._allowance = TokenBucket(limits.messages_per_second, limits.messages_burst, now)
        self._frames = TokenBucket(limits.frames_per_second, limits.frames_burst, now)
        self._action_mode: bool | None = None
        self._bad = 0
        self._refusals: deque[float] = deque(maxlen=limits.refusals)
        self.outbox = outbox
        self.wishes = wishes
        self._beats = 0
        self._beat_at = now + wishes.heartbeat
        self.since = now
        self.asked = False
        self.pinged = now  # when the last ping was sent
        self.ponged = now  # when the last pong came; nothing else that a client sends stands in for it
        self.closing = 0.0

    def receive_text(self, text: str, now: float) -> None:
        """Handles one message."""
        if self.closing:
            return
        if len(text) > protocol.LARGEST_MESSAGE or len(text.encode(errors="replace")) > protocol.LARGEST_MESSAGE:
            self.close(Close.TOO_LARGE, now)
            return
        if self._action_mode is None:
            self._action_mode = protocol.opens_action_mode(text)
        allowed = self._allowance.spend(now)
        if self._action_mode:
            self._receive_action(text, allowed, now)
        else:
            self._receive_array(text, allowed, now)

    def receive_bytes(self, now: float) -> None:
        """Binary frames mean nothing here."""
        if not self.closing:
            self.close(Close.BINARY, now)

    def close(self, code: Close, now: float) -> None:
        """Starts the closing handshake; nothing more is read from this client."""
        if not self.closing:
            self.closing = now or 1.0
            self._gateway.counts.closed(code)
            self._gateway.hub.leave(self.outbox)
            self.outbox.transport.close(code)

    def sweep(self, now: float) -> None:
        """Looks for what is due: called about once a second."""
        limits = self._gateway.limits
        if self.closing:
            if now - self.closing > 1.0:
                self.outbox.transport.abort()
        elif not self.outbox.open and now - self.outbox.stalled_at > limits.write_wait:
            self.close(Close.SLOW, now)
        elif not self.asked and now - self.since > limits.first_request:
            self.close(Close.SILENT, now)
        elif self.pinged > self.ponged and now - self.ponged > limits.pong_wait:
            self.close(Close.NO_PONG, now)
        elif now - self.pinged >= limits.ping_period and self._gateway.pings and self.outbox.open:
            self.pinged = now
            self.outbox.transport.send_ping()
        if self.wishes.heartbeat and not self.closing and now >= self._beat_at:
            self._send_beat(now)

    def send_notice(self, retry_after_ms: int) -> None:
        """Says that the gateway is about to go, to a client that asked for it."""
        if self.wishes.notice and not self.closing:
            self.outbox.tell([fact("reconnect", protocol.reconnect(retry_after_ms))])

    def _send_beat(self, now: float) -> None:
        self._beats += 1
        self._beat_at = now + self.wishes.heartbeat
        gateway = self._gateway
        self._reply(protocol.heartbeat(gateway.unix_micros(), self._beats, gateway.feed_age_ms(), gateway.source), now)

    def note_pong(self, now: float) -> None:
        self.ponged = now

    def receive_ping(self, payload: bytes, now: float) -> None:
        """Answers a client's ping as a reply: kept while the socket is backed up, and bounded."""
        if not self.closing and not self.outbox.reply_frame(protocol.pong_frame(payload)):
            self.close(Close.SLOW, now)

    def receive_frame(self, now: float) -> bool:
        """Counts a frame of any kind, fragments and control frames too; False when this client may send no more."""
        if not self.closing and not self._frames.spend(now):
            self._gateway.counts.refused["frame rate"] += 1
            self.close(Close.FLOOD, now)
            return False
        return True

    # --- array mode -------------------------------------------------------------------------------------------------

    def _receive_array(self, text: str, allowed: bool, now: float) -> None:
        if not allowed:
            self._count_refusal(now)
            return
        try:
            request = protocol.parse_array(text)
        except BadRequest as error:
            self._end_array(error.message, now)
            return
        catalog = self._gateway.catalog
        symbols = [symbol for symbol in request.symbols if catalog.allows(symbol)]
        if not symbols:
            self._end_array(protocol.NO_SYMBOLS, now)
            return
        self.asked = True
        held = self.outbox.symbols
        new = [symbol for symbol in symbols if symbol not in held]
        self._subscribe(new[: self._gateway.limits.max_symbols - len(held)])

    def _end_array(self, message: str, now: float) -> None:
        self._gateway.counts.refused["bad request"] += 1
        self._reply(protocol.array_error(message), now)
        self.close(Close.BAD_REQUESTS, now)

    # --- action mode ------------------------------------------------------------------------------------------------

    def _receive_action(self, text: str, allowed: bool, now: float) -> None:
        try:
            request = protocol.parse_action(text)
        except BadRequest as error:
            self._count_bad(protocol.error(error.message, Code.SHAPE, error.id), now)
            return
        if not allowed and request.action != "unsubscribe":
            wait = int(self._allowance.wait() * 1000) + 1
            self._reply(protocol.error("Too many requests", Code.TOO_MANY, request.id, retry_after_ms=wait), now)
            self._count_refusal(now)
            return
        self.asked = True
        self._bad = 0
        handle = {
            "subscribe": self._on_subscribe,
            "unsubscribe": self._on_unsubscribe,
            "unsubscribe_all": self._on_unsubscribe_all,
            "list": self._on_list,
            "ping": self._on_ping,
        }[request.action]
        handle(request, now)

    def _on_subscribe(self, request: Request, now: float) -> None:
        catalog, held = self._gateway.catalog, self.outbox.symbols
        known = [symbol for symbol in request.symbols if catalog.allows(symbol)]
        new = [symbol for symbol in known if symbol not in held]
        if not new:
            code = Code.SUBSCRIBED if known else Code.UNKNOWN
            self._reply(protocol.error("No valid/new symbols provided", code, request.id), now)
            return
        try:
            delivery = self.outbox.delivery.adopt(request.options)
        except BadOptions as error:
            self._reply(protocol.error(str(error), Code.SHAPE, request.id), now)
            return
        most = self._gateway.limits.max_symbols
        if len(held) + len(new) > most:
            message = f"At most {most} symbols a connection: {len(held)} are subscribed, {len(new)} more were asked for"
            self._reply(protocol.error(message, Code.SYMBOL_LIMIT, request.id), now)
            return
        rejected = {symbol: "unknown symbol" for symbol in request.symbols if not catalog.allows(symbol)}
        message = f"Subscribed to {protocol.name_list(new)}"
        echo = delivery.echo() if request.options is not None else None
        self._reply(protocol.ack(message, new, request.id, rejected, echo), now)
        self._gateway.hub.change_delivery(self.outbox, delivery)
        self._subscribe(new)

    def _on_unsubscribe(self, request: Request, now: float) -> None:
        gone = [symbol for symbol in request.symbols if symbol in self.outbox.symbols]
        if not gone:
            message = f"Not subscribed to: {protocol.name_list(request.symbols)}"
            self._reply(protocol.error(message, Code.UNKNOWN, request.id), now)
            return
        rejected = {symbol: "not subscribed" for symbol in request.symbols if symbol not in self.outbox.symbols}
        self._gateway.hub.unsubscribe(self.outbox, gone)
        self._reply(protocol.ack(f"Unsubscribed from {protocol.name_list(gone)}", gone, request.id, rejected), now)

    def _on_unsubscribe_all(self, request: Request, now: float) -> None:
        gone = sorted(self.outbox.symbols)
        self._gateway.hub.unsubscribe(self.outbox, gone)
        self._reply(protocol.ack("Unsubscribed from all symbols", gone, request.id), now)

    def _on_list(self, request: Request, now: float) -> None:
        symbols = sorted(self.outbox.symbols)
        self._reply(protocol.ack(f"Subscribed to {protocol.name_list(symbols)}", symbols, request.id), now)

    def _on_ping(self, request: Request, now: float) -> None:
        self._reply(protocol.pong(request.id, self._gateway.unix_micros()), now)

    # --- common to both ---------------------------------------------------------------------------------------------

    def _subscribe(self, symbols: list[str]) -> None:
        if self.wishes.meta:
            self.outbox.tell([self._gateway.catalog.fact_of(symbol) for symbol in symbols])
        self._gateway.hub.subscribe(self.outbox, symbols)

    def _reply(self, payload: bytes, now: float) -> None:
        if not self.outbox.reply(payload):
            self.close(Close.SLOW, now)

    def _count_bad(self, reply: bytes, now: float) -> None:
        self._gateway.counts.refused["bad request"] += 1
        self._bad += 1
        self._reply(reply, now)
        if self._bad >= self._gateway.limits.bad_requests:
            self.close(Close.BAD_REQUESTS, now)

    def _count_refusal(self, now: float) -> None:
        limits = self._gateway.limits
        self._gateway.counts.refused["message rate"] += 1
        self._refusals.append(now)
        if len(self._refusals) == limits.refusals and now - self._refusals[0] <= limits.refusals_within:
            self.close(Close.FLOOD, now)
