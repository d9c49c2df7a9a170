"""Sessions of a gateway without a server: what a client says goes in, what it hears is kept."""

import json

from feeds.wire import Update, encode
from tests.support.gateway.fakes import FakeTransport
from watchlist.gateway.catalog import Catalog, Listing
from watchlist.gateway.fanout.outbox import Outbox
from watchlist.gateway.gateway import Gateway
from watchlist.gateway.limits import Limits
from watchlist.gateway.protocol import ConnectionOptions


async def no_tickers():
    return []


def make_gateway(**limits):
    catalog = Catalog()
    catalog.replace([Listing(symbol, symbol.title(), 10.0) for symbol in ("AAPL", "GOOG", "TSLA")])
    gateway = Gateway(Limits(**limits), catalog, no_tickers, layer=lambda: None, redis=lambda: None)
    gateway.hub._schedule = lambda delay, function: None
    return gateway


def connect(gateway=None, room=None, wishes=None, **limits):
    gateway = gateway or make_gateway(**limits)
    transport = FakeTransport(room)
    outbox = Outbox(transport, clock=lambda: 0.0)
    transport.on_drain = outbox.drain
    session = gateway.open_session(outbox, wishes or ConnectionOptions())
    session.since = session.pinged = session.ponged = 0.0
    session._allowance._at = session._frames._at = 0.0
    return session


def say(session, value, now=0.0):
    session.receive_text(value if isinstance(value, str) else json.dumps(value), now)


def replies(session):
    return [json.loads(payload) for payload in session.outbox.transport.payloads]


def action(name, symbols=None, request_id="1"):
    payload = {} if symbols is None else {"payload": {"symbols": symbols}}
    return {"action": name, "id": request_id, **payload}


def publish(session, symbol, seq):
    hub = session._gateway.hub
    hub.take(f"prices.{symbol}".encode(), encode(Update(symbol, 1.0, seq, seq)))
    hub.flush()
