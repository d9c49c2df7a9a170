from collections.abc import Iterator
from time import monotonic

import pytest
from confluent_kafka import KafkaError, murmur2
from structlog.testing import capture_logs

from feeds.errors import BrokerUnavailable
from feeds.kafka.embedded import EmbeddedCluster
from feeds.kafka.last_updates import LastUpdates
from feeds.kafka.producer import SILENCE, UpdateProducer
from feeds.wire import Update, encode
from stockwatch.local.redis_server import free_port
from tests.support.waiting import wait_until

AAPL = Update("AAPL", 150.12, 1, 1)


@pytest.fixture
def nowhere() -> Iterator[UpdateProducer]:
    """A sink whose broker is not there, with room for two updates."""
    sink = UpdateProducer(f"127.0.0.1:{free_port()}", "ticks", {"queue.buffering.max.messages": 2})
    yield sink
    sink.close(0)


def test_delivered_updates_are_counted_and_none_is_left(kafka: str, topic: str):
    sink = UpdateProducer(kafka, topic)
    for number in range(100):
        sink.send("AAPL", encode(Update("AAPL", 1.0, number, number)))
        sink.serve()

    assert sink.close(10) == 0
    assert sink.delivered == 100
    assert LastUpdates(kafka, topic, monotonic).read(["AAPL"])["AAPL"].seq_id == 99


def test_a_symbol_lands_where_java_clients_put_it(kafka: str, topic: str):
    sink = UpdateProducer(kafka, topic)
    partitions: dict[str, int] = {}
    sink._report = lambda _error, record: partitions.setdefault(record.key().decode(), record.partition())
    symbols = ["AAPL", "GOOG", "BRK.B", "^GSPC", "BTC/USD"]
    for symbol in symbols:
        sink.send(symbol, encode(Update(symbol, 1.0, 1, 1)))
    sink.close(10)

    assert partitions == {symbol: murmur2(symbol.encode(), 4) for symbol in symbols}


def test_a_sink_that_was_never_used_closes(kafka: str, topic: str):
    assert UpdateProducer(kafka, topic).close(1) == 0


def test_a_full_queue_makes_the_caller_wait_and_is_said_once(nowhere: UpdateProducer):
    with capture_logs() as lines:
        for _ in range(2):
            nowhere.send("AAPL", encode(AAPL))
        for _ in range(2):
            with pytest.raises(BrokerUnavailable, match="stays full"):
                nowhere.send("AAPL", encode(AAPL))

    assert [line["log_level"] for line in lines if line["log_level"] != "debug"] == ["warning"]


def test_what_was_not_delivered_in_time_is_counted_and_said_with_its_reason(nowhere: UpdateProducer):
    nowhere.send("AAPL", encode(AAPL))
    nowhere.send("AAPL", encode(AAPL))
    with capture_logs() as lines:
        assert nowhere.close(0.1) == 2

    said = [line for line in lines if line["event"] == "updates were not delivered"]
    assert [(line["reason"], line["count"]) for line in said] == [("_PURGE_QUEUE", 2)]


def test_a_failure_is_told_once(nowhere: UpdateProducer):
    nowhere.failed["MSG_SIZE_TOO_LARGE"] += 3
    with capture_logs() as lines:
        nowhere.tell()
        nowhere.tell()

    assert len(lines) == 1


def test_acknowledgements_that_stay_out_are_said_once_and_an_idle_feed_is_not():
    time = [0.0]
    deaf = {"error_cb": lambda _error: None}
    sink = UpdateProducer(f"127.0.0.1:{free_port()}", "ticks", deaf, clock=lambda: time[0])
    with capture_logs() as lines:
        sink.serve()
        for time[0] in (0.0, 100.0):
            sink.tell()
        sink.send("AAPL", encode(AAPL))
        for time[0] in (100.0, 100.0 + SILENCE / 2):
            sink.tell()
        assert lines == []
        for time[0] in (100.0 + SILENCE, 100.0 + 2 * SILENCE):
            sink.tell()
    sink.close(0)

    assert [(line["event"][:13], line["reason"][:21]) for line in lines] == [("Kafka is away", "no acknowledgement fo")]


def test_an_update_too_large_for_the_brokers_is_a_failure_with_a_reason(kafka: str, topic: str):
    sink = UpdateProducer(kafka, topic)
    sink.send("AAPL", b"x" * 2_000_000)

    assert sink.close(5) == 1
    assert sink.failed == {"MSG_SIZE_TOO_LARGE": 1}


def test_after_a_fatal_error_a_new_producer_goes_on(kafka: str, topic: str):
    sink = UpdateProducer(kafka, topic)
    sink.send("AAPL", encode(AAPL))
    with capture_logs() as lines:
        sink._refuse(KafkaError(KafkaError._FATAL, "the end", fatal=True))
    sink.send("AAPL", encode(AAPL))

    assert sink.close(10) >= 1
    assert sink.delivered + sink.failed.total() == 3
    assert [line["log_level"] for line in lines] == ["error"]


def test_brokers_that_die_and_do_not_come_back_leave_nothing_uncounted():
    cluster = EmbeddedCluster(brokers=1)
    cluster.start()
    sink = UpdateProducer(cluster.addresses, "ticks")
    sink.send("AAPL", encode(AAPL))
    wait_until(lambda: sink.serve() or sink.delivered)
    cluster.close()
    sink.send("AAPL", encode(AAPL))

    assert sink.close(0.3) == 1
    assert sink.delivered == 1
