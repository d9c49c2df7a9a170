"""Opens sessions without a server and without Redis, and sends and receives as their clients."""

import json
from random import Random
from typing import Any

from feeds.wire import Update, encode
from tests.support.gateway.fakes import FakeClock, FakeTransport
from tests.support.times import at
from watchlist.gateway.catalog import Catalog, Listing
from watchlist.gateway.connection_options import ConnectionOptions
from watchlist.gateway.counts import GatewayCounts
from watchlist.gateway.fanout.hub import Hub
from watchlist.gateway.fanout.outbox import Outbox
from watchlist.gateway.limits import Limits
from watchlist.gateway.protocol import CloseCode
from watchlist.gateway.sockets.connections import Connections
from watchlist.gateway.sockets.session import Session
from watchlist.gateway.sockets.session_context import SessionContext
from watchlist.gateway.streams.stream_session import StreamSession
from watchlist.gateway.web_sessions import AccountSession


def make_connections(**limits: Any) -> Connections:
    """Returns the connections of a gateway with the tickers AAPL, GOOG and TSLA.

    The gateway's clock stands still. Its random numbers are always the same.
    """
    catalog = Catalog()
    catalog.replace([Listing(symbol, symbol.title(), 10.0) for symbol in ("AAPL", "GOOG", "TSLA")])
    clock = FakeClock()
    hub = Hub(lambda _delay, _flush: None, lambda _symbol: None, lambda _symbol: None, clock.unix_micros)
    return Connections(SessionContext(Limits(**limits), catalog, hub, GatewayCounts(), clock), Random(7))


def open_session(
    connections: Connections | None = None,
    room: int | None = None,
    options: ConnectionOptions | None = None,
    account_session: AccountSession | None = None,
    unverified_key: str | None = None,
    address: str = "",
    **limits: Any,
) -> Session:
    """Opens a session. Its transport is a FakeTransport that is full after `room` bytes."""
    connections = connections or make_connections(**limits)
    transport = FakeTransport(room)
    outbox = Outbox(transport, clock=lambda: 0.0)
    transport.on_writable = outbox.resume
    return connections.open(outbox, options or ConnectionOptions(), account_session, unverified_key, address)


def send(session: Session, value: Any, now: float = 0.0) -> None:
    """Sends a value as the client of a session.

    A text is sent unchanged. Any other value is sent as JSON.
    """
    session.receive_text(value if isinstance(value, str) else json.dumps(value), now)


def received_frames(session: Session) -> list[dict[str, Any]]:
    """Returns all frames that the client has received, as parsed JSON values."""
    return [json.loads(payload) for payload in session.outbox.transport.payloads]


def make_request(action: str, symbols: list[str] | None = None, request_id: str = "1") -> dict[str, Any]:
    payload = {} if symbols is None else {"payload": {"symbols": symbols}}
    return {"action": action, "id": request_id, **payload}


def ticker_frame(symbol: str, name: str, base: float) -> dict[str, Any]:
    """Returns the frame about an active simulated ticker, as a parsed JSON value."""
    return {
        "type": "ticker",
        "symbol": symbol,
        "name": name,
        "base": base,
        "decimals": 2,
        "active": True,
        "previous_close": None,
        "source": "simulated",
        "currency": "",
        "market": "always",
    }


def publish(session: Session, symbol: str, seq_id: int) -> None:
    """Passes an update to the hub of a session and flushes the hub."""
    hub = session.context.hub
    hub.receive(f"prices.{symbol}".encode(), encode(Update(symbol, 1.0, at(seq_id), seq_id)))
    hub.flush()


def expect_slow_close_after_10_seconds(session: Session | StreamSession) -> None:
    """Expects that a client whose output has waited since 0.0 is closed after 10 s, and dropped 1 s later."""
    transport = session.outbox.transport
    session.sweep(10.1)
    assert transport.codes == [CloseCode.SLOW]
    session.sweep(11.0)
    assert not transport.aborted
    session.sweep(11.2)
    assert transport.aborted
