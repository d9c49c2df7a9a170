"""Pages and sign-in limits read and write a real cluster."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from feeds.recorder.recent_bars import RecentBars
from feeds.store.cluster.slots import key_slot, tag_prefix
from feeds.store.connection import connect
from feeds.store.quote_reader import read_quotes as read_admin_quotes
from feeds.wire import Update, encode
from tests.support.recording.bars import open_bars_of
from tests.support.servers.redis_cluster import RedisCluster
from tests.support.waiting import wait_until
from watchlist.accounts.sign_in_limit import clear_failures
from watchlist.prices.history import read_candles
from watchlist.prices.quotes import read_quotes
from watchlist.prices.recent_days import read_days

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)
SYMBOLS = [f"S{number}" for number in range(40)]
UPDATES = [Update(symbol, 1.5, int(NOW.timestamp()) * 1_000_000, 1) for symbol in SYMBOLS]


@pytest.fixture
def cluster(redis_cluster: RedisCluster, settings) -> RedisCluster:
    settings.REDIS = redis_cluster.address
    with connect(redis_cluster.address) as client:
        for update in UPDATES:
            client.set(f"{tag_prefix(update.symbol)}stock:{update.symbol}", encode(update))
        RecentBars(client).write(open_bars_of(*UPDATES).unwritten_symbols())
    return redis_cluster


def test_quotes_days_and_candles_are_read_from_all_nodes(cluster: RedisCluster):
    quotes = read_quotes([*SYMBOLS, "MISSING"])
    assert (quotes.available, dict(quotes.updates)) == (True, {update.symbol: update for update in UPDATES})
    assert read_admin_quotes(SYMBOLS) == quotes.updates
    days = read_days(SYMBOLS, NOW)
    assert {symbol: (day.open, day.minute_closes) for symbol, day in days.items()} == dict.fromkeys(
        SYMBOLS, (1.5, [1.5])
    )
    candles = read_candles("S0", timedelta(minutes=5), NOW, timedelta(days=30)).candles
    assert [candle.close for candle in candles] == [1.5]


def test_the_quotes_of_a_dead_node_are_missing_until_its_replica_takes_over(cluster: RedisCluster):
    node = cluster.owner(key_slot(tag_prefix("S0").encode()))
    dead = set(cluster.slots_of(node))
    assert read_quotes(SYMBOLS).available
    cluster.kill(node)
    quotes = read_quotes(SYMBOLS)
    assert not quotes.available
    assert set(quotes.updates) == {s for s in SYMBOLS if key_slot(tag_prefix(s).encode()) not in dead}
    assert read_admin_quotes(SYMBOLS) is None
    wait_until(lambda: read_quotes(SYMBOLS).available, 60, "a replica takes over")


def test_failed_sign_ins_are_limited(cluster: RedisCluster, settings):
    settings.SIGN_IN_FAILURES = 2

    def attempt() -> int:
        return Client(REMOTE_ADDR="192.0.2.1").post("/sign-in/", {"username": "ada", "password": "wrong"}).status_code

    assert [attempt() for _ in range(4)] == [200, 200, 429, 429]
    clear_failures("ada")
