from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feeds.errors import StoreUnavailable
from feeds.store.batch import Batch
from feeds.store.connection import connect
from feeds.store.quote_writer import QuoteWriter
from feeds.wire import MAX_VALUE_BYTES, Update, encode
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.cases import read_cases
from tests.support.full_disk import accept_writes, redis_with_snapshots, refuse_writes
from tests.support.publications import Publications
from tests.support.times import at

HOUR = timedelta(hours=1)
STORED_QUOTES = read_cases("stored_quotes")


@pytest.fixture
def writer(redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[QuoteWriter]:
    writer = QuoteWriter(connect({"host": redis_server.host, "port": redis_server.port}), HOUR)
    yield writer
    writer.close()


def update(time: int, number: int, symbol: str = "AAPL") -> Update:
    return Update(symbol, 1.5, at(time), number)


def batch(*updates: Update) -> Batch:
    return Batch([[(each, encode(each)) for each in updates]])


def test_a_newer_update_is_stored_with_its_ttl_and_published(
    writer: QuoteWriter, redis_client: redis.Redis, publications: Publications
):
    assert writer.write(batch(update(1, 1))) == 1
    assert redis_client.get("stock:AAPL") == encode(update(1, 1))
    assert 0 < redis_client.pttl("stock:AAPL") <= 3_600_000
    assert publications.take() == [(b"prices.AAPL", encode(update(1, 1)))]


def test_an_equal_or_older_update_is_neither_stored_nor_published(
    writer: QuoteWriter, redis_client: redis.Redis, publications: Publications
):
    writer.write(batch(update(5, 5)))
    publications.take()

    assert [writer.write(batch(update(*order))) for order in ((5, 5), (5, 4), (4, 9))] == [0, 0, 0]
    assert redis_client.get("stock:AAPL") == encode(update(5, 5))
    assert publications.take() == []


def test_all_updates_of_a_symbol_in_one_batch_are_published_in_order(
    writer: QuoteWriter, redis_client: redis.Redis, publications: Publications
):
    updates = [update(1, number) for number in range(5)]

    assert writer.write(batch(*updates)) == 5
    assert publications.take() == [(b"prices.AAPL", encode(each)) for each in updates]
    assert redis_client.get("stock:AAPL") == encode(updates[-1])


def test_the_rest_of_a_partly_written_batch_is_published(writer: QuoteWriter, publications: Publications):
    writer.write(batch(update(1, 1), update(1, 2)))
    publications.take()

    assert writer.write(batch(update(1, 1), update(1, 2), update(1, 3), update(2, 4))) == 2
    assert publications.take() == [(b"prices.AAPL", encode(update(1, 3))), (b"prices.AAPL", encode(update(2, 4)))]


def test_symbols_of_one_batch_are_compared_separately(writer: QuoteWriter, publications: Publications):
    writer.write(batch(update(9, 9)))
    publications.take()

    assert writer.write(batch(update(1, 1), update(1, 1, "GOOG"))) == 1
    assert publications.take() == [(b"prices.GOOG", encode(update(1, 1, "GOOG")))]


@pytest.mark.parametrize("symbol", ["BRK.B", "^GSPC", "BTC/USD", "EURUSD=X"])
def test_key_and_channel_contain_the_symbol_with_all_signs(
    symbol: str, writer: QuoteWriter, redis_client: redis.Redis, publications: Publications
):
    writer.write(batch(update(1, 1, symbol)))

    assert redis_client.get(f"stock:{symbol}") is not None
    assert publications.take()[0][0] == f"prices.{symbol}".encode()


@pytest.mark.parametrize(
    "stored",
    [
        f'{{ "timestamp": {at(5)}, "seq_id": 5, "symbol": "AAPL", "price": 1 }}',
        f'{{"symbol":"AAPL","price":1,"timestamp":{at(5)},"seq_id":5,"venue":{{"timestamp":1,"seq_id":1}}}}',
        f'{{"venue":{{"timestamp":1,"seq_id":1}},"symbol":"AAPL","price":1,"seq_id":5,"timestamp":{at(5)}}}',
    ],
)
def test_a_quote_in_the_format_of_another_program_is_compared(
    stored: str, writer: QuoteWriter, redis_client: redis.Redis
):
    redis_client.set("stock:AAPL", stored)

    assert writer.write(batch(update(5, 4))) == 0
    assert writer.write(batch(update(5, 6))) == 1


@pytest.mark.parametrize("case", STORED_QUOTES, ids=lambda case: case["name"])
def test_a_stored_value_blocks_older_updates_exactly_if_it_is_an_update(
    case: dict, writer: QuoteWriter, redis_client: redis.Redis
):
    redis_client.set("stock:AAPL", case["value"])

    assert writer.write(batch(Update("AAPL", 1.5, 10**15, 0))) == (0 if case["valid"] else 1)


@pytest.mark.parametrize("value", [b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xe2\x82"])
def test_a_stored_value_that_is_not_utf8_is_overwritten(value: bytes, writer: QuoteWriter, redis_client: redis.Redis):
    redis_client.set("stock:AAPL", encode(update(5, 5)).replace(b"{", b'{"note":"' + value + b'",'))

    assert writer.write(batch(update(1, 1))) == 1


def test_a_stored_value_over_64_kb_is_overwritten(writer: QuoteWriter, redis_client: redis.Redis):
    redis_client.set("stock:AAPL", encode(update(5, 5)) + b" " * MAX_VALUE_BYTES)

    assert writer.write(batch(update(1, 1))) == 1


def test_a_stored_quote_more_than_a_day_ahead_is_overwritten_and_one_less_ahead_is_not(
    writer: QuoteWriter, redis_client: redis.Redis
):
    seconds, micros = redis_client.time()
    tomorrow = (seconds + 86_400) * 1_000_000 + micros
    for timestamp, written in ((tomorrow + 60_000_000, 1), (tomorrow - 60_000_000, 0)):
        redis_client.set("stock:AAPL", encode(Update("AAPL", 1.5, timestamp, 1)))

        assert writer.write(batch(update(1, 1))) == written


def test_an_update_whose_publication_is_refused_is_not_stored_and_is_published_by_the_retry(
    redis_server: RedisServer, redis_client: redis.Redis, publications: Publications
):
    redis_client.set("stock:GOOG", encode(update(1, 1, "GOOG")))
    redis_client.acl_setuser("narrow", enabled=True, passwords=["+p"], keys=["*"], commands=["+@all"], channels=[])
    address = {"host": redis_server.host, "port": redis_server.port, "username": "narrow", "password": "p"}
    writer = QuoteWriter(connect(address), HOUR)
    try:
        with pytest.raises(StoreUnavailable, match="channel"):
            writer.write(batch(update(1, 1)))
        assert redis_client.get("stock:AAPL") is None
        with pytest.raises(StoreUnavailable, match="channel"):
            writer.write(batch(update(2, 2, "GOOG")))
        assert redis_client.get("stock:GOOG") == encode(update(1, 1, "GOOG"))
        redis_client.acl_setuser("narrow", enabled=True, keys=["*"], commands=["+@all"], channels=["*"])

        assert writer.write(batch(update(1, 1))) == 1
        assert publications.take() == [(b"prices.AAPL", encode(update(1, 1)))]
    finally:
        writer.close()
        redis_client.acl_deluser("narrow")


def test_an_update_that_redis_has_no_memory_for_is_published_once_by_the_retry(
    writer: QuoteWriter, redis_client: redis.Redis, publications: Publications
):
    redis_client.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailable, match="memory"):
            writer.write(batch(update(1, 1)))
    finally:
        redis_client.config_set("maxmemory", 0)
    assert writer.write(batch(update(1, 1))) == 1
    assert publications.take() == [(b"prices.AAPL", encode(update(1, 1)))]


def test_an_update_that_redis_refuses_because_of_its_disk_is_published_once_by_the_retry(tmp_path: Path):
    folder = tmp_path / "data"
    with redis_with_snapshots(folder) as (server, client):
        writer, publications = (
            QuoteWriter(connect({"host": server.host, "port": server.port}), HOUR),
            Publications(client),
        )
        refuse_writes(client, folder)
        with pytest.raises(StoreUnavailable, match="MISCONF"):
            writer.write(batch(update(1, 1)))
        assert publications.take() == []
        accept_writes(client)
        assert writer.write(batch(update(1, 1))) == 1
        assert publications.take() == [(b"prices.AAPL", encode(update(1, 1)))]
        publications.close()
        writer.close()


def test_a_key_of_another_type_is_overwritten(writer: QuoteWriter, redis_client: redis.Redis):
    redis_client.lpush("stock:AAPL", "x")

    assert writer.write(batch(update(1, 1))) == 1


def test_numbers_below_2_to_the_53rd_are_compared_exactly(writer: QuoteWriter):
    top = 2**53 - 1
    writer.write(batch(update(1, top - 1)))

    assert writer.write(batch(update(1, top))) == 1
    assert writer.write(batch(update(1, top))) == 0


def test_the_bytes_of_a_value_are_stored_unchanged(writer: QuoteWriter, redis_client: redis.Redis):
    body = b'{ "symbol":"AAPL","price":1.50,"timestamp":%d,"seq_id":7,"venue":"X" }' % at(7)
    writer.write(Batch([[(update(7, 7), body)]]))

    assert redis_client.get("stock:AAPL") == body
    assert writer.write(batch(update(7, 7))) == 0


def test_writing_everything_again_publishes_nothing(writer: QuoteWriter, publications: Publications):
    updates = [update(1 + number // 3, number, symbol) for number in range(50) for symbol in ("AAPL", "GOOG")]
    assert writer.write(batch(*updates)) == 100
    publications.take()

    assert writer.write(batch(*updates)) == 0
    assert publications.take() == []


def test_a_server_without_the_script_gets_it_again(writer: QuoteWriter, redis_client: redis.Redis):
    writer.write(batch(update(1, 1)))
    redis_client.script_flush()

    assert writer.write(batch(update(1, 2))) == 1


def test_a_cached_script_costs_one_command(writer: QuoteWriter, redis_client: redis.Redis):
    writer.write(batch(update(1, 1)))
    redis_client.config_resetstat()
    writer.write(batch(update(1, 2)))

    assert {"cmdstat_evalsha"} <= redis_client.info("commandstats").keys()
    assert not {"cmdstat_eval", "cmdstat_script|load"} & redis_client.info("commandstats").keys()


def test_an_unreachable_redis_raises_a_transient_error():
    writer = QuoteWriter(connect({"host": "127.0.0.1", "port": free_port()}), HOUR)

    with pytest.raises(StoreUnavailable):
        writer.write(batch(update(1, 1)))


def test_a_redis_without_memory_raises_a_transient_error(writer: QuoteWriter, redis_client: redis.Redis):
    redis_client.config_set("maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailable, match="OutOfMemory"):
            writer.write(batch(update(1, 1)))
    finally:
        redis_client.config_set("maxmemory", "0")

    assert writer.write(batch(update(1, 1))) == 1


ORDERS = st.tuples(st.integers(0, 4), st.integers(0, 4))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(st.lists(ORDERS, min_size=1, max_size=6), max_size=5))
def test_over_any_batches_published_updates_ascend(
    writer: QuoteWriter, redis_client: redis.Redis, publications: Publications, batches: list[list[tuple[int, int]]]
):
    redis_client.delete("stock:AAPL")
    greatest: list[tuple[int, int]] = []
    for orders in batches:
        for order in orders:
            if not greatest or order > greatest[-1]:
                greatest.append(order)
        writer.write(batch(*(update(*order) for order in orders)))

    assert [data for _channel, data in publications.take()] == [encode(update(*order)) for order in greatest]
