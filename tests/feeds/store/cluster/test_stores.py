"""Leases, owners, states, audits and bars on a real cluster."""

from datetime import date

import pytest
import redis

from feeds.errors import LeaseHeld, StoreUnavailable
from feeds.recorder.recent_bars import RecentBars
from feeds.store.audit_reports import AuditReport, read_reports, write_report
from feeds.store.cluster.slots import key_slot, tag_prefix
from feeds.store.connection import connect
from feeds.store.feed_state import FeedState, FeedStateStore
from feeds.store.holders import Holder
from feeds.store.lease import Lease
from feeds.store.ownership import Ownership
from feeds.wire import Update
from tests.support.recording.bars import open_bars_of
from tests.support.servers.redis_cluster import RedisCluster
from tests.support.times import at
from tests.support.waiting import wait_until

SYMBOLS = ["AAPL", "BRK.B", "^GSPC", "BTC/USD", *(f"S{number}" for number in range(60))]


@pytest.fixture
def client(redis_cluster: RedisCluster):
    with connect(redis_cluster.address) as client:
        yield client


def test_one_program_holds_a_lease(client: redis.Redis):
    first, second = (Lease(client, "market_ticks", "generator feeds market_ticks", Holder()) for _ in range(2))
    first.acquire(lambda _seconds: None)
    first.renew()
    with pytest.raises(LeaseHeld):
        second.renew()
    first.release()
    second.renew()


def test_one_process_owns_a_symbol(client: redis.Redis):
    first, second = (Ownership(client, "market_ticks", Holder()) for _ in range(2))
    assert first.claim(SYMBOLS) == set(SYMBOLS)
    assert second.claim(SYMBOLS) == set()
    assert first.renew(SYMBOLS) == set(SYMBOLS)
    first.release(SYMBOLS[:10])
    assert second.claim(SYMBOLS) == set(SYMBOLS[:10])


def test_states_of_sources_and_audits_are_read_back(client: redis.Redis):
    states = {name: FeedState("connected", "", 1, 2) for name in ("kraken", "coinbase", "binance")}
    store = FeedStateStore(client)
    store.write(states)
    assert store.read([*states, "alpaca"]) == states
    store.remove(["kraken", "coinbase"])
    assert list(store.read(states)) == ["binance"]
    reports = [AuditReport(name, date(2026, 11, 22).isoformat(), 1, []) for name in states]
    for report in reports:
        write_report(client, report)
    assert read_reports(client, list(states)) == reports


def test_bars_are_written_and_read_back(client: redis.Redis):
    bars = RecentBars(client)
    updates = [Update(symbol, 1.5, at(number), number) for number in (1, 2) for symbol in SYMBOLS]
    open_bars = open_bars_of(*updates)
    assert {each.symbol for each in bars.write(open_bars.unwritten_symbols())} == set(SYMBOLS)
    sources = dict.fromkeys(SYMBOLS, "simulated")
    second = at(2) // 1_000_000
    assert bars.newest_seconds(sources) == dict.fromkeys(SYMBOLS, second)
    bars.fetch_seconds([(open_bars.by_symbol[symbol], [second]) for symbol in SYMBOLS])
    assert open_bars.by_symbol["AAPL"].seconds.bars[second].count == 2
    bars.forget(SYMBOLS[:5])
    assert list(bars.newest_seconds(sources).values()).count(-1) == 5


def test_a_dead_node_delays_only_the_bars_of_its_own_symbols(redis_cluster: RedisCluster, client: redis.Redis):
    bars = RecentBars(client)
    slots = {symbol: key_slot(tag_prefix(symbol).encode()) for symbol in SYMBOLS}
    node = redis_cluster.owner(slots["AAPL"])
    dead = set(redis_cluster.slots_of(node))
    redis_cluster.kill(node)
    symbols = open_bars_of(*(Update(symbol, 1.5, at(1), 1) for symbol in SYMBOLS)).unwritten_symbols()
    with pytest.raises(StoreUnavailable):
        bars.write(symbols)
    others = [symbol for symbol in SYMBOLS if slots[symbol] not in dead]
    assert set(bars.newest_seconds(dict.fromkeys(others, "simulated")).values()) == {at(1) // 1_000_000}

    created: list[str] = []

    def write() -> bool:
        try:
            created.extend(each.symbol for each in bars.write(symbols))
        except StoreUnavailable:
            return False
        return True

    wait_until(write, 60, "a replica takes over")
    assert sorted(created) == sorted(SYMBOLS)
