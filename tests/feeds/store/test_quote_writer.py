from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feeds.errors import StoreUnavailable
from feeds.processor.batch import Batch
from feeds.store.connection import connect
from feeds.store.quote_writer import QuoteWriter
from feeds.wire import Update, encode
from stockwatch.local.redis_server import RedisServer, free_port

HOUR = timedelta(hours=1)


@pytest.fixture
def store(redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[QuoteWriter]:
    store = QuoteWriter(connect({"host": redis_server.host, "port": redis_server.port}), HOUR)
    yield store
    store.close()


class Heard:
    """What is published on prices.* from now on."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._channel = client.pubsub()
        self._channel.psubscribe("prices.*")
        self._channel.get_message(timeout=5)

    def take(self) -> list[tuple[bytes, bytes]]:
        """All that was published since the last call; a message of our own marks the end."""
        self._client.publish("prices.", "end")
        taken = []
        while (message := self._channel.get_message(timeout=5)) and message["data"] != b"end":
            taken.append((message["channel"], message["data"]))
        return taken

    def close(self) -> None:
        self._channel.close()


@pytest.fixture
def heard(redis_client: redis.Redis) -> Iterator[Heard]:
    heard = Heard(redis_client)
    yield heard
    heard.close()


def update(time: int, number: int, symbol: str = "AAPL") -> Update:
    return Update(symbol, 1.5, time, number)


def batch(*updates: Update) -> Batch:
    return Batch([[(each, encode(each)) for each in updates]])


def test_a_newer_update_is_stored_with_its_ttl_and_published(
    store: QuoteWriter, redis_client: redis.Redis, heard: Heard
):
    assert store.write(batch(update(1, 1))) == 1
    assert redis_client.get("stock:AAPL") == encode(update(1, 1))
    assert 0 < redis_client.pttl("stock:AAPL") <= 3_600_000
    assert heard.take() == [(b"prices.AAPL", encode(update(1, 1)))]


def test_an_equal_or_older_update_is_neither_stored_nor_published(
    store: QuoteWriter, redis_client: redis.Redis, heard: Heard
):
    store.write(batch(update(5, 5)))
    heard.take()

    assert [store.write(batch(update(*order))) for order in ((5, 5), (5, 4), (4, 9))] == [0, 0, 0]
    assert redis_client.get("stock:AAPL") == encode(update(5, 5))
    assert heard.take() == []


def test_all_updates_of_a_symbol_in_one_batch_are_published_in_order(
    store: QuoteWriter, redis_client: redis.Redis, heard: Heard
):
    updates = [update(1, number) for number in range(5)]

    assert store.write(batch(*updates)) == 5
    assert heard.take() == [(b"prices.AAPL", encode(each)) for each in updates]
    assert redis_client.get("stock:AAPL") == encode(updates[-1])


def test_of_a_batch_that_was_partly_done_only_the_rest_is_published(store: QuoteWriter, heard: Heard):
    store.write(batch(update(1, 1), update(1, 2)))
    heard.take()

    assert store.write(batch(update(1, 1), update(1, 2), update(1, 3), update(2, 4))) == 2
    assert heard.take() == [(b"prices.AAPL", encode(update(1, 3))), (b"prices.AAPL", encode(update(2, 4)))]


def test_symbols_of_one_batch_are_judged_apart(store: QuoteWriter, heard: Heard):
    store.write(batch(update(9, 9)))
    heard.take()

    assert store.write(batch(update(1, 1), update(1, 1, "GOOG"))) == 1
    assert heard.take() == [(b"prices.GOOG", encode(update(1, 1, "GOOG")))]


@pytest.mark.parametrize("symbol", ["BRK.B", "^GSPC", "BTC/USD", "EURUSD=X"])
def test_symbols_with_signs_keep_them_in_key_and_channel(
    symbol: str, store: QuoteWriter, redis_client: redis.Redis, heard: Heard
):
    store.write(batch(update(1, 1, symbol)))

    assert redis_client.get(f"stock:{symbol}") is not None
    assert heard.take()[0][0] == f"prices.{symbol}".encode()


@pytest.mark.parametrize(
    "stored",
    [
        '{ "timestamp": 5, "seq_id": 5, "symbol": "AAPL", "price": 1 }',
        '{"symbol":"AAPL","price":1,"timestamp":5,"seq_id":5,"venue":{"timestamp":1,"seq_id":1}}',
        '{"venue":{"timestamp":1,"seq_id":1},"seq_id":5,"timestamp":5}',
    ],
)
def test_what_another_program_stored_is_understood(stored: str, store: QuoteWriter, redis_client: redis.Redis):
    redis_client.set("stock:AAPL", stored)

    assert store.write(batch(update(5, 4))) == 0
    assert store.write(batch(update(5, 6))) == 1


@pytest.mark.parametrize(
    "stored", ["", "no JSON", "7", "[]", "null", '{"timestamp":"5","seq_id":5}', '{"timestamp":5}']
)
def test_what_cannot_be_read_is_overwritten(stored: str, store: QuoteWriter, redis_client: redis.Redis):
    redis_client.set("stock:AAPL", stored)

    assert store.write(batch(update(1, 1))) == 1


def test_a_key_of_another_type_is_overwritten(store: QuoteWriter, redis_client: redis.Redis):
    redis_client.lpush("stock:AAPL", "x")

    assert store.write(batch(update(1, 1))) == 1


def test_numbers_up_to_2_to_the_53rd_are_told_apart(store: QuoteWriter):
    top = 2**53 - 1
    store.write(batch(update(top, top - 1)))

    assert store.write(batch(update(top, top))) == 1
    assert store.write(batch(update(top, top))) == 0


def test_the_bytes_pass_unchanged(store: QuoteWriter, redis_client: redis.Redis):
    body = b'{ "symbol":"AAPL","price":1.50,"timestamp":7,"seq_id":7,"venue":"X" }'
    store.write(Batch([[(update(7, 7), body)]]))

    assert redis_client.get("stock:AAPL") == body
    assert store.write(batch(update(7, 7))) == 0


def test_a_replay_of_everything_publishes_nothing(store: QuoteWriter, heard: Heard):
    updates = [update(1 + number // 3, number, symbol) for number in range(50) for symbol in ("AAPL", "GOOG")]
    assert store.write(batch(*updates)) == 100
    heard.take()

    assert store.write(batch(*updates)) == 0
    assert heard.take() == []


def test_a_server_that_forgot_the_script_gets_it_again(store: QuoteWriter, redis_client: redis.Redis):
    store.write(batch(update(1, 1)))
    redis_client.script_flush()

    assert store.write(batch(update(1, 2))) == 1


def test_a_known_script_costs_one_command(store: QuoteWriter, redis_client: redis.Redis):
    store.write(batch(update(1, 1)))
    redis_client.config_resetstat()
    store.write(batch(update(1, 2)))

    assert {"cmdstat_evalsha"} <= redis_client.info("commandstats").keys()
    assert not {"cmdstat_eval", "cmdstat_script|load"} & redis_client.info("commandstats").keys()


def test_a_redis_that_is_not_there_is_a_trouble_that_passes():
    store = QuoteWriter(connect({"host": "127.0.0.1", "port": free_port()}), HOUR)

    with pytest.raises(StoreUnavailable):
        store.write(batch(update(1, 1)))


def test_a_redis_without_memory_is_a_trouble_that_passes(store: QuoteWriter, redis_client: redis.Redis):
    redis_client.config_set("maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailable, match="OutOfMemory"):
            store.write(batch(update(1, 1)))
    finally:
        redis_client.config_set("maxmemory", "0")

    assert store.write(batch(update(1, 1))) == 1


ORDERS = st.tuples(st.integers(0, 4), st.integers(0, 4))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(st.lists(ORDERS, min_size=1, max_size=6), max_size=5))
def test_over_any_batches_what_is_published_always_grows(
    store: QuoteWriter, redis_client: redis.Redis, heard: Heard, batches: list[list[tuple[int, int]]]
):
    redis_client.delete("stock:AAPL")
    greatest: list[tuple[int, int]] = []
    for orders in batches:
        for order in orders:
            if not greatest or order > greatest[-1]:
                greatest.append(order)
        store.write(batch(*(update(*order) for order in orders)))

    assert [data for _channel, data in heard.take()] == [encode(update(*order)) for order in greatest]
