"""Quotes in a real cluster: stored, published in sharded channels, and written while nodes fail and slots move."""

from datetime import timedelta

import pytest
import redis

from feeds.errors import StoreUnavailable
from feeds.store.batch import Batch
from feeds.store.cluster.quote_writer import ClusterQuoteWriter, open_quote_writer
from feeds.store.cluster.slots import key_slot, tag_prefix
from feeds.store.connection import connect
from feeds.store.quote_restorer import QuoteRestorer
from feeds.store.quote_writer import QuoteWriter
from feeds.wire import Update, encode
from stockwatch.local.redis_server import RedisServer
from tests.support.servers.redis_cluster import RedisCluster
from tests.support.times import at
from tests.support.waiting import wait_until

SYMBOLS = ["AAPL", "BRK.B", "^GSPC", "BTC/USD", "EURUSD=X", *(f"S{number}" for number in range(60))]


def make_batch(number: int, *more: int, symbols: list[str] = SYMBOLS) -> Batch:
    updates = [Update(symbol, 1.5, at(each), each) for each in (number, *more) for symbol in symbols]
    return Batch([[(update, encode(update)) for update in updates]])


def slot_of(symbol: str) -> int:
    return key_slot(tag_prefix(symbol).encode())


@pytest.fixture
def writer(redis_cluster: RedisCluster):
    writer = open_quote_writer(connect(redis_cluster.address), timedelta(hours=1))
    assert isinstance(writer, ClusterQuoteWriter)
    yield writer
    writer.close()


@pytest.fixture
def stored(redis_cluster: RedisCluster):
    """Returns a function that returns the seq_id of the quote of each symbol."""
    client = connect(redis_cluster.address)

    def read() -> list[int]:
        values = client.mget([f"{tag_prefix(symbol)}stock:{symbol}" for symbol in SYMBOLS])
        return [int(value.rpartition(b":")[2].strip(b"}")) if value else 0 for value in values]

    yield read
    client.close()


def test_one_server_keeps_its_writer_and_the_plain_names(redis_client: redis.Redis, redis_server: RedisServer):
    writer = open_quote_writer(connect({"host": redis_server.host, "port": redis_server.port}), timedelta(hours=1))
    assert type(writer) is QuoteWriter
    assert writer.write(make_batch(1, symbols=["AAPL"])) == 1
    assert redis_client.keys() == [b"stock:AAPL"]
    writer.close()


def test_newer_updates_are_stored_with_a_ttl_and_stale_updates_are_not(redis_cluster: RedisCluster, writer, stored):
    assert writer.write(make_batch(2, 3)) == 2 * len(SYMBOLS)
    assert writer.write(make_batch(1, 2, 3)) == 0
    assert writer.write(make_batch(3, 4)) == len(SYMBOLS)
    assert stored() == [4] * len(SYMBOLS)
    with connect(redis_cluster.address) as client:
        assert 0 < client.ttl(f"{tag_prefix('AAPL')}stock:AAPL") <= 3600


def test_updates_are_published_in_the_sharded_channel_of_their_symbol(redis_cluster: RedisCluster, writer):
    channel = f"{tag_prefix('BRK.B')}prices.BRK.B"
    owner = redis_cluster.owner(slot_of("BRK.B"))
    with redis.Redis(host=owner.host, port=owner.port, protocol=2) as client, client.pubsub() as pubsub:
        pubsub.ssubscribe(channel)
        assert pubsub.parse_response()[0] == b"ssubscribe"
        writer.write(make_batch(1, 2))
        messages = [pubsub.parse_response() for _ in range(2)]
    assert [message[:2] for message in messages] == [[b"smessage", channel.encode()]] * 2
    assert [message[2] for message in messages] == [
        encode(Update("BRK.B", 1.5, at(number), number)) for number in (1, 2)
    ]


def test_the_commands_are_spread_evenly_over_the_masters(redis_cluster: RedisCluster, writer):
    symbols = [f"SYM{number:04d}" for number in range(500)]
    masters = [node for node in redis_cluster.running if node.run("ROLE")[0] == b"master"]
    before = [node.commands for node in masters]
    for number in range(1, 31):
        assert writer.write(make_batch(number, symbols=symbols)) == len(symbols)
    counts = [node.commands - count for node, count in zip(masters, before, strict=True)]
    assert len(counts) == 3
    assert max(counts) <= 1.25 * sum(counts) / 3


def test_a_batch_is_written_while_slots_are_half_moved_and_after(redis_cluster: RedisCluster, writer, stored):
    writer.write(make_batch(1))
    symbols_by_slot: dict[int, list[str]] = {}
    for symbol in SYMBOLS:
        symbols_by_slot.setdefault(slot_of(symbol), []).append(symbol)
    slot = max(symbols_by_slot, key=lambda each: len(symbols_by_slot[each]))
    assert len(symbols_by_slot[slot]) > 1
    target = redis_cluster.other_master(slot)
    source = redis_cluster.begin_migration(slot, target)
    redis_cluster.move_keys(slot, source, target, count=1)

    assert writer.write(make_batch(2)) == len(SYMBOLS)
    redis_cluster.end_migration(slot, source, target)
    assert writer.write(make_batch(3)) == len(SYMBOLS)
    assert stored() == [3] * len(SYMBOLS)


def test_a_dead_node_delays_only_its_own_symbols(redis_cluster: RedisCluster, writer, stored):
    writer.write(make_batch(1))
    node = redis_cluster.owner(slot_of("AAPL"))
    dead = set(redis_cluster.slots_of(node))
    redis_cluster.kill(node)

    with pytest.raises(StoreUnavailable):
        writer.write(make_batch(2))
    others = [symbol for symbol in SYMBOLS if slot_of(symbol) not in dead]
    assert 0 < len(others) < len(SYMBOLS)
    assert writer.write(make_batch(2, 3, symbols=others)) == len(others)

    def write() -> bool:
        try:
            return bool(writer.write(make_batch(2, 3)))
        except StoreUnavailable:
            return False

    wait_until(write, 60, "a replica takes over")
    assert stored() == [3] * len(SYMBOLS)


def test_lost_quotes_are_restored_to_all_nodes_until_each_node_has_its_marker(redis_cluster: RedisCluster, stored):
    restorer = QuoteRestorer(connect(redis_cluster.address), timedelta(hours=1), now=lambda: at(0) / 1e6)
    quotes = [(update, encode(update)) for update in (Update(symbol, 1.5, at(7), 7) for symbol in SYMBOLS)]
    try:
        assert restorer.are_lost()
        assert restorer.restore(quotes) == len(SYMBOLS)
        assert stored() == [7] * len(SYMBOLS)
        assert restorer.restore(quotes) == 0
        restorer.mark()
        assert not restorer.are_lost()
    finally:
        restorer.close()
