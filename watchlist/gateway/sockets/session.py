"""Handles the requests, limits, pings and time-outs of one accepted socket.

No method waits or does I/O. `now` arguments are in monotonic seconds.
"""

from collections import deque
from collections.abc import Mapping

from watchlist.gateway import protocol
from watchlist.gateway.connection_options import NO_OPTIONS, ConnectionOptions
from watchlist.gateway.fanout.delivery import BadOptions
from watchlist.gateway.fanout.outbox import Outbox
from watchlist.gateway.framing import pong_frame
from watchlist.gateway.messages import make_state
from watchlist.gateway.protocol import BadRequest, CloseCode, ErrorCode, Request
from watchlist.gateway.sockets.session_context import SessionContext
from watchlist.gateway.sockets.token_bucket import TokenBucket
from watchlist.gateway.sockets.tokens.authentication import Authentication, start_authentication
from watchlist.gateway.web_sessions import AccountSession

NO_NEW_SYMBOLS = "No valid/new symbols provided"
CLOSE_TIMEOUT_SECONDS = 1.0
"""How long the closing handshake may take before the connection is dropped."""


class Session:
    """The state of one socket.

    `account_session` is the web session of the signed-in account, or None. `unverified_key` is the key of a web session
    that was not looked up yet. `list_versions` maps list ids to the versions that were sent to the client.
    """

    __slots__ = (
        "_action_mode",
        "_bad_requests",
        "_byte_bucket",
        "_frame_bucket",
        "_heartbeats",
        "_message_bucket",
        "_next_heartbeat",
        "_refusals",
        "account_session",
        "address",
        "authentication",
        "closing_since",
        "context",
        "has_requested",
        "last_ping_at",
        "last_pong_at",
        "list_versions",
        "opened_at",
        "options",
        "outbox",
        "rotates_at",
        "token",
        "token_owner",
        "unverified_key",
    )

    def __init__(
        self, context: SessionContext, outbox: Outbox, now: float, options: ConnectionOptions = NO_OPTIONS
    ) -> None:
        limits = context.limits
        self.context = context
        self._message_bucket = TokenBucket(limits.messages_per_second, limits.messages_burst, now)
        self._byte_bucket = TokenBucket(limits.bytes_per_second, limits.bytes_burst, now)
        self._frame_bucket = TokenBucket(limits.frames_per_second, limits.frames_burst, now)
        self._action_mode: bool | None = None  # None until the first message
        self._bad_requests = 0
        self._refusals: deque[float] = deque(maxlen=limits.refusals)
        self._heartbeats, self._next_heartbeat = 0, now + options.heartbeat
        self.outbox, self.options = outbox, options
        self.address = ""
        self.account_session: AccountSession | None = None
        self.unverified_key: str | None = None
        self.token: int | None = None  # the id of the personal token
        self.token_owner: int | None = None  # the id of its account
        self.authentication: Authentication | None = None
        self.list_versions: Mapping[int, int] = {}
        self.opened_at = now
        self.rotates_at = float("inf")  # when the lifetime of the socket ends
        self.has_requested = False
        self.last_ping_at = now
        self.last_pong_at = now  # Pongs only: other frames do not show that the client reads.
        self.closing_since = 0.0  # when the gateway began to close the socket; 0.0 until then

    def receive_text(self, text: str, now: float) -> None:
        """Carries out the request in a text message of the client. Refuses the message if a limit is exceeded."""
        if self.closing_since:
            return
        size = len(text)  # checked first, so that a huge text is not encoded
        if size <= protocol.MAX_MESSAGE_BYTES:
            size = len(text.encode(errors="replace"))
        if size > protocol.MAX_MESSAGE_BYTES:
            self.close(CloseCode.TOO_LARGE, now)
            return
        if not self._byte_bucket.spend(now, size):
            self.context.counts.refused["byte rate"] += 1
            self.close(CloseCode.FLOOD, now)
            return
        if self._action_mode is None:
            self._action_mode = protocol.opens_action_mode(text)
        allowed = self._message_bucket.spend(now)
        if self.authentication is None or self.authentication.admits(text, allowed, now):
            self.carry_out(text, allowed, now)

    def carry_out(self, text: str, allowed: bool, now: float) -> None:
        """Carries out a request. `allowed` says whether the request is within the limit of messages per second."""
        if self._action_mode:
            self._receive_action(text, allowed, now)
        else:
            self._receive_array(text, allowed, now)

    def receive_bytes(self, now: float) -> None:
        """Closes the socket, because the protocol has no binary messages."""
        if not self.closing_since:
            self.close(CloseCode.BINARY, now)

    def receive_ping(self, payload: bytes, now: float) -> None:
        """Answers a ping of the client with a pong."""
        if not self.closing_since and not self.outbox.reply_frame(pong_frame(payload)):
            self.close(CloseCode.SLOW, now)

    def receive_pong(self, now: float) -> None:
        self.last_pong_at = now

    def count_frame(self, now: float) -> bool:
        """Counts a frame of any kind from the client. If frames come too often, closes the socket and returns False."""
        # Frames also count while the socket is closing. Otherwise a client could use a whole core until the time-out.
        allowed = self._frame_bucket.spend(now)
        if not (allowed or self.closing_since):
            self.context.counts.refused["frame rate"] += 1
            self.close(CloseCode.FLOOD, now)
        return allowed

    def close(self, code: CloseCode, now: float) -> None:
        """Starts the closing handshake. From then on, messages of the client are ignored."""
        if not self.closing_since:
            self.closing_since = now or 1.0
            self.context.counts.count_close(code)
            self.context.hub.remove(self.outbox)
            self.outbox.transport.close(code)

    def sweep(self, now: float, late: float = 0.0) -> None:
        """Sends the pings and heartbeats that are due, and closes the socket after a time-out.

        `late` seconds are added to the time-outs in `Limits`.
        """
        limits = self.context.limits
        if self.closing_since:
            if now - self.closing_since > CLOSE_TIMEOUT_SECONDS:
                self.outbox.transport.abort()
        elif not self.outbox.open and now - self.outbox.stalled_at > limits.write_wait + late:
            self.close(CloseCode.SLOW, now)
        elif not self.has_requested and now - self.opened_at > limits.first_request + late:
            self.close(CloseCode.SILENT if self.authentication is None else CloseCode.TOKEN, now)
        elif self.last_ping_at > self.last_pong_at and now - self.last_pong_at > limits.pong_wait + late:
            self.close(CloseCode.NO_PONG, now)
        else:
            self._send_ping_if_due(now)
        if self.options.heartbeat and not self.closing_since and now >= self._next_heartbeat:
            self._send_heartbeat(now)

    def send_reconnect_notice(self, retry_after_ms: int) -> None:
        """Sends a `reconnect` frame if the client has connected with `?notice=1`."""
        if self.options.notice and not self.closing_since:
            self.outbox.send([make_state("reconnect", protocol.reconnect(retry_after_ms))])

    def _send_ping_if_due(self, now: float) -> None:
        outbox = self.outbox
        if now - self.last_ping_at >= self.context.limits.ping_period and outbox.transport.direct and outbox.open:
            self.last_ping_at = now
            outbox.transport.send_ping()

    def _send_heartbeat(self, now: float) -> None:
        self._heartbeats += 1
        self._next_heartbeat = now + self.options.heartbeat
        self.reply(self.context.make_heartbeat(self._heartbeats), now)

    # --- array mode -------------------------------------------------------------------------------------------------

    def _receive_array(self, text: str, allowed: bool, now: float) -> None:
        if not allowed:
            self._count_refusal(now)
            return
        try:
            request = protocol.parse_array(text)
        except BadRequest as error:
            self._end_array_mode(error.message, now)
            return
        symbols = [symbol for symbol in request.symbols if self.context.catalog.allows(symbol)]
        if not symbols:
            self._end_array_mode(protocol.NO_SYMBOLS, now)
            return
        self.has_requested = True
        subscribed = self.outbox.symbols
        new = [symbol for symbol in symbols if symbol not in subscribed]
        self._subscribe(new[: self.context.limits.max_symbols - len(subscribed)])

    def _end_array_mode(self, message: str, now: float) -> None:
        self.context.counts.refused["bad request"] += 1
        self.reply(protocol.array_error(message), now)
        self.close(CloseCode.BAD_REQUESTS, now)

    # --- action mode ------------------------------------------------------------------------------------------------

    def _receive_action(self, text: str, allowed: bool, now: float) -> None:
        try:
            request = protocol.parse_action(text)
        except BadRequest as error:
            self._count_bad_request(protocol.error(error.message, ErrorCode.MALFORMED, error.id), now)
            return
        if not allowed and request.action != "unsubscribe":
            wait = int(self._message_bucket.seconds_to_next() * 1000) + 1
            reply = protocol.error("Too many requests", ErrorCode.RATE_LIMITED, request.id, retry_after_ms=wait)
            self.reply(reply, now)
            self._count_refusal(now)
            return
        self.has_requested = True
        self._bad_requests = 0
        getattr(self, f"_on_{request.action}")(request, now)

    def _on_subscribe(self, request: Request, now: float) -> None:
        catalog, subscribed = self.context.catalog, self.outbox.symbols
        known = [symbol for symbol in request.symbols if catalog.allows(symbol)]
        new = [symbol for symbol in known if symbol not in subscribed]
        if not known:
            self.reply(protocol.error(NO_NEW_SYMBOLS, ErrorCode.UNKNOWN_SYMBOL, request.id), now)
            return
        try:
            delivery = self.outbox.delivery.with_options(request.options)
        except BadOptions as error:
            self.reply(protocol.error(str(error), ErrorCode.MALFORMED, request.id), now)
            return
        if not new and delivery.lasting == self.outbox.delivery.lasting:
            self.reply(protocol.error(NO_NEW_SYMBOLS, ErrorCode.ALREADY_SUBSCRIBED, request.id), now)
            return
        limit = self.context.limits.max_symbols
        if len(subscribed) + len(new) > limit:
            counts = f"{len(subscribed)} are subscribed, {len(new)} more requested"
            message = f"At most {limit} symbols per connection: {counts}"
            self.reply(protocol.error(message, ErrorCode.SYMBOL_LIMIT, request.id), now)
            return
        rejected = {symbol: "unknown symbol" for symbol in request.symbols if not catalog.allows(symbol)}
        options = delivery.as_options() if request.options is not None else None
        message = f"Subscribed to {protocol.name_list(new)}" if new else "Options changed"
        self.reply(protocol.ack(message, new, request.id, rejected, options), now)
        self.context.hub.change_delivery(self.outbox, delivery)
        self._subscribe(new)

    def _on_unsubscribe(self, request: Request, now: float) -> None:
        removed = [symbol for symbol in request.symbols if symbol in self.outbox.symbols]
        if not removed:
            message = f"Not subscribed to: {protocol.name_list(request.symbols)}"
            self.reply(protocol.error(message, ErrorCode.UNKNOWN_SYMBOL, request.id), now)
            return
        rejected = {symbol: "not subscribed" for symbol in request.symbols if symbol not in self.outbox.symbols}
        self.context.hub.unsubscribe(self.outbox, removed)
        message = f"Unsubscribed from {protocol.name_list(removed)}"
        self.reply(protocol.ack(message, removed, request.id, rejected), now)

    def _on_unsubscribe_all(self, request: Request, now: float) -> None:
        removed = sorted(self.outbox.symbols)
        self.context.hub.unsubscribe(self.outbox, removed)
        self.reply(protocol.ack("Unsubscribed from all symbols", removed, request.id), now)

    def _on_list(self, request: Request, now: float) -> None:
        symbols = sorted(self.outbox.symbols)
        self.reply(protocol.ack(f"Subscribed to {protocol.name_list(symbols)}", symbols, request.id), now)

    def _on_ping(self, request: Request, now: float) -> None:
        self.reply(protocol.pong(request.id, self.context.clock.unix_micros()), now)

    def _on_auth(self, request: Request, now: float) -> None:
        self.authentication = start_authentication(self, request, now)

    # --- both modes -------------------------------------------------------------------------------------------------

    def _subscribe(self, symbols: list[str]) -> None:
        if self.options.meta:
            self.outbox.send([self.context.catalog.get_ticker_message(symbol) for symbol in symbols])
        self.context.hub.subscribe(self.outbox, symbols)

    def reply(self, payload: bytes, now: float) -> None:
        if not self.outbox.reply(payload):
            self.close(CloseCode.SLOW, now)

    def _count_bad_request(self, reply: bytes, now: float) -> None:
        self.context.counts.refused["bad request"] += 1
        self._bad_requests += 1
        self.reply(reply, now)
        if self._bad_requests >= self.context.limits.bad_requests:
            self.close(CloseCode.BAD_REQUESTS, now)

    def _count_refusal(self, now: float) -> None:
        limits = self.context.limits
        self.context.counts.refused["message rate"] += 1
        self._refusals.append(now)
        if len(self._refusals) == limits.refusals and now - self._refusals[0] <= limits.refusals_within:
            self.close(CloseCode.FLOOD, now)
