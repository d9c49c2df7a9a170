"""`feed` frames, markets and heartbeats follow the states that feeders store in Redis."""

import asyncio
import json
from dataclasses import replace

import pytest

from feeds.sources.events import SourceState, SymbolState
from feeds.store.feed_state import FeedState, FeedStateStore
from tests.support.gateway.database import execute
from tests.support.gateway.fakes import FakeClock
from tests.support.gateway.process import receive_frame, receive_frame_of_type
from tests.support.gateway.sessions import make_connections, make_request, open_session, received_frames
from tests.support.waiting import until
from watchlist.gateway import source_changes
from watchlist.gateway.catalog import Listing
from watchlist.gateway.connection_options import ConnectionOptions
from watchlist.gateway.source_changes import SourceChanges
from watchlist.prices.source_states import STATES, SYMBOL_STATES

META = ConnectionOptions(meta=True)
BITCOIN = Listing("BTC/USD", "Bitcoin", 1.0, source="kraken")
APPLE = Listing("AAPL", "Apple", 1.0, source="alpaca", market="open")
NO_SYMBOLS = {"unknown": [], "halted": [], "closed": []}


class StateReader:
    """The only command that the gateway sends. Holds values by key, and counts its calls."""

    def __init__(self):
        self.values = {}
        self.calls = []
        self.error = None

    async def mget(self, keys):
        self.calls.append(list(keys))
        if self.error is not None:
            raise self.error
        return [self.values.get(key) for key in keys]

    def set(self, source, **fields):
        state = {"state": "connected", "reason": "", "since": 5, "last_message": 6, "symbols": {}} | fields
        self.values[f"feed:{source}"] = json.dumps(state).encode()


def make_changes(*listings):
    connections = make_connections()
    connections.context.catalog.replace(listings)
    clock = FakeClock()
    return SourceChanges(connections.context.catalog, connections, clock.unix_micros), connections, clock


def frame(source, title, state, reason, since, **symbols):
    named = {"type": "feed", "source": source, "title": title, "state": state, "reason": reason, "since": since}
    return named | {"symbols": NO_SYMBOLS | symbols}


def test_the_states_that_clients_know_are_those_of_feeders():
    assert {state.value for state in SourceState} == STATES
    assert {*SYMBOL_STATES, SymbolState.TRADING.value} == {state.value for state in SymbolState}


async def test_open_sockets_with_meta_are_told_each_change_once():
    changes, connections, _ = make_changes(BITCOIN)
    page, program = open_session(connections, options=META), open_session(connections)
    reader = StateReader()
    reader.set("kraken")
    await changes.read(reader)
    reader.set("kraken", last_message=7)
    await changes.read(reader)
    reader.set("kraken", state="silent", reason="no message for 5 s", since=9)
    await changes.read(reader)
    assert received_frames(page) == [
        frame("kraken", "Kraken", "connected", "", 5),
        frame("kraken", "Kraken", "silent", "no message for 5 s", 9),
    ]
    assert received_frames(program) == []


async def test_a_new_socket_with_meta_is_told_the_current_states():
    changes, connections, _ = make_changes(BITCOIN, APPLE)
    reader = StateReader()
    reader.set("kraken")
    reader.set("alpaca", state="refused", reason="wrong key")
    await changes.read(reader)
    connections.announce_database(False)
    frames = received_frames(open_session(connections, options=META))
    assert [each.get("source") for each in frames] == [None, "alpaca", "kraken"]
    assert received_frames(open_session(connections)) == []


async def test_a_source_without_a_feeder_is_reconnecting_since_the_gateway_noticed():
    changes, connections, clock = make_changes(BITCOIN)
    page, reader = open_session(connections, options=META), StateReader()
    await changes.read(reader)
    clock.micros += 1_000_000
    await changes.read(reader)
    noticed = clock.micros - 1_000_000
    assert received_frames(page) == [frame("kraken", "Kraken", "reconnecting", "runfeed is not running", noticed)]


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b" " * 2_000_000),
        b'{"state":"connected"}',
        b'{"state":"great","reason":"","since":1,"last_message":1}',
    ],
)
async def test_an_invalid_state_counts_as_no_state(value):
    changes, connections, _ = make_changes(BITCOIN)
    page, reader = open_session(connections, options=META), StateReader()
    reader.values["feed:kraken"] = value
    await changes.read(reader)
    assert [each["reason"] for each in received_frames(page)] == ["runfeed is not running"]


async def test_frames_name_only_symbols_of_the_source_that_clients_can_subscribe_to():
    changes, connections, _ = make_changes(BITCOIN, APPLE, replace(BITCOIN, symbol="OLD/USD", active=False))
    page, reader = open_session(connections, options=META), StateReader()
    symbols = ["BTC/USD", "AAPL", "OLD/USD", "NEVER"]
    reader.set("kraken", reason="x" * 500, symbols={"halted": symbols, "unknown": symbols, "invented": symbols})
    await changes.read(reader)
    [alpaca, kraken] = received_frames(page)
    assert alpaca["source"] == "alpaca"
    assert kraken["symbols"] == {"unknown": ["BTC/USD"], "halted": ["BTC/USD"], "closed": []}
    assert kraken["reason"] == "x" * 200


async def test_one_command_reads_the_states_of_the_named_sources_and_none_is_sent_without():
    changes, connections, _ = make_changes(replace(BITCOIN, source="simulated"))
    reader = StateReader()
    await changes.read(reader)
    assert reader.calls == []
    connections.context.catalog.replace([BITCOIN, APPLE, replace(BITCOIN, symbol="X", source="simulated")])
    await changes.read(reader)
    assert reader.calls == [["feed:alpaca", "feed:kraken"]]


async def test_the_market_of_a_symbol_is_closed_while_its_source_says_so():
    changes, _, _ = make_changes(BITCOIN, APPLE)
    reader, listings = StateReader(), [BITCOIN, APPLE]
    assert changes.mark_markets(listings) == listings
    reader.set("alpaca", symbols={"closed": ["AAPL", "BTC/USD"]})
    await changes.read(reader)
    assert [each.market for each in changes.mark_markets(listings)] == ["always", "closed"]
    reader.set("alpaca")
    await changes.read(reader)
    assert changes.mark_markets(listings) == listings


async def test_a_client_that_does_not_read_gets_only_the_newest_state_of_each_source():
    changes, connections, _ = make_changes(BITCOIN, APPLE)
    page, reader = open_session(connections, room=0, options=META), StateReader()
    for since in range(5):
        reader.set("kraken", since=since)
        await changes.read(reader)
    page.outbox.transport.make_room()
    assert [(each["source"], each["since"]) for each in received_frames(page)][-2:] == [
        ("alpaca", page.context.clock.micros),
        ("kraken", 4),
    ]


@pytest.mark.parametrize("error", [ConnectionError("Redis is down"), ValueError("a bug")])
async def test_an_error_ends_neither_the_loop_nor_the_known_states(monkeypatch, error):
    monkeypatch.setattr(source_changes, "READ_SECONDS", 0.001)
    changes, connections, _ = make_changes(BITCOIN)
    page, reader = open_session(connections, options=META), StateReader()
    reader.set("kraken")
    following = asyncio.ensure_future(changes.follow(reader))
    await until(lambda: received_frames(page))
    reader.error = error
    failed = len(reader.calls)
    await until(lambda: len(reader.calls) > failed + 2)
    assert [each["state"] for each in received_frames(open_session(connections, options=META))] == ["connected"]
    reader.error = None
    reader.set("kraken", state="silent")
    await until(lambda: received_frames(page)[-1]["state"] == "silent")
    following.cancel()


def store_state(gateway, **fields):
    values = {"state": "connected", "reason": "", "since": 5, "last_message": 6} | fields
    FeedStateStore(gateway.redis).write({"kraken": FeedState(**values)})


def test_a_gateway_follows_the_feeder_in_redis(run_gateway, redis_client):
    gateway = run_gateway("rungateway")
    execute(gateway, "UPDATE feeds_ticker SET source = 'kraken', currency = 'USD' WHERE symbol = 'BTC/USD'")
    store_state(gateway, symbols={"closed": ["BTC/USD"]})
    with gateway.connect("?meta=1&heartbeat=1") as client:
        client.send(json.dumps(make_request("subscribe", ["BTC/USD"])))
        connected = receive_frame_of_type(client, "feed")
        assert (connected["state"], connected["symbols"]["closed"]) == ("connected", ["BTC/USD"])
        while (ticker := receive_frame_of_type(client, "ticker"))["market"] != "closed":
            pass
        assert (ticker["source"], ticker["currency"]) == ("kraken", "USD")
        assert receive_frame_of_type(client, "heartbeat")["source"] == "mixed"
        store_state(gateway, state="maintenance", reason="until noon")
        changed = receive_frame_of_type(client, "feed")
        assert (changed["state"], changed["reason"]) == ("maintenance", "until noon")
        gateway.redis.delete("feed:kraken")
        missing = receive_frame_of_type(client, "feed")
        assert (missing["state"], missing["reason"]) == ("reconnecting", "runfeed is not running")
    with gateway.connect("?meta=1") as client:
        assert receive_frame(client)["type"] == "feed"
