"""Opens a stream, and handles its comments, heartbeats and time-outs.

A stream is the response to `GET /stream`: server-sent events until the client or the gateway ends the connection.
"""

from collections.abc import Sequence

from watchlist.gateway.connection_options import ConnectionOptions
from watchlist.gateway.fanout.delivery import Delivery
from watchlist.gateway.fanout.events import COMMENT, make_heartbeat, make_retry
from watchlist.gateway.fanout.outbox import Outbox, Transport
from watchlist.gateway.messages import StateMessage
from watchlist.gateway.protocol import MAX_ECHO_CHARACTERS, MAX_REJECTED_SYMBOLS, CloseCode, name_list
from watchlist.gateway.sockets.admission import Admitted
from watchlist.gateway.sockets.connections import Connections
from watchlist.gateway.sockets.refusal import Refusal
from watchlist.gateway.sockets.session import CLOSE_TIMEOUT_SECONDS, Session
from watchlist.gateway.streams.problem import Problem, describe_refusal
from watchlist.gateway.streams.stream_query import StreamQuery

COMMENT_SECONDS = 15.0
"""The interval of comments. Proxies often close a connection that is silent for a minute."""
RETRY_MS = 1000
"""A client waits this long, and a random time more, before it connects again."""


class StreamSession(Session):
    """The session of a stream. The client sends nothing, so there are neither requests nor pings."""

    __slots__ = ()

    def sweep(self, now: float, late: float = 0.0) -> None:
        """Sends a comment or a heartbeat if it is due. Closes the stream if the client does not read."""
        outbox = self.outbox
        if self.closing_since:
            if now - self.closing_since > CLOSE_TIMEOUT_SECONDS:
                outbox.transport.abort()
        elif not outbox.open:
            if now - outbox.stalled_at > self.context.limits.write_wait + late:
                self.close(CloseCode.SLOW, now)
        elif now - self.last_ping_at >= COMMENT_SECONDS:
            self.last_ping_at = now
            outbox.reply_frame(COMMENT)
        if self.options.heartbeat and outbox.open and not self.closing_since and now >= self._next_heartbeat:
            self._send_heartbeat(now)

    def begin(self, states: Sequence[StateMessage], symbols: Sequence[str]) -> None:
        """Sends the first heartbeat and `states` if the client has asked for them. Subscribes to the symbols."""
        if self.options.heartbeat:
            self._send_heartbeat(self.opened_at)
        if self.options.meta:
            self.outbox.send(states)
        self._subscribe(list(symbols))

    def reply(self, payload: bytes, now: float) -> None:
        """Sends a heartbeat, which is the only reply of a stream."""
        if not self.outbox.reply_frame(make_heartbeat(payload)):
            self.close(CloseCode.SLOW, now)


def check_symbols(connections: Connections, result: Admitted | Refusal, query: StreamQuery) -> Admitted | Problem:
    """Returns `result` if the stream is accepted, or the problem if the stream is refused.

    `result` is the decision of `Admission`. A stream is also refused if one of its symbols is unknown.
    """
    if isinstance(result, Refusal):
        return describe_refusal(result.reason, result.status, result.retry_after)
    catalog = connections.context.catalog
    unknown = [symbol for symbol in query.symbols if not catalog.allows(symbol)][:MAX_REJECTED_SYMBOLS]
    if not unknown:
        return result
    named = tuple(symbol[:MAX_ECHO_CHARACTERS] for symbol in unknown)
    return Problem(404, "unknown symbols", f"Unknown symbols: {name_list(named)}", symbols=named)


def open_stream(
    connections: Connections, transport: Transport, admitted: Admitted, query: StreamQuery
) -> StreamSession:
    """Opens the session of an accepted stream, and subscribes it to the symbols of the query."""
    context = connections.context
    options = None if query.max_hz is None else {"max_hz": query.max_hz}
    delivery = Delivery(events=True).with_options(options)
    outbox = Outbox(transport, context.clock.now, delivery, context.limits.send_buffer, context.hub.counts)
    connection_options = ConnectionOptions(heartbeat=query.heartbeat, meta=query.meta)
    session = StreamSession(context, outbox, context.clock.now(), connection_options)
    connections.add(session, admitted.account_session, admitted.unverified_key, admitted.address, admitted.token)
    outbox.reply_frame(make_retry(RETRY_MS + connections.choose_retry_ms()))
    session.begin(connections.current_states(), query.symbols)
    return session
