from collections.abc import Iterator
from time import monotonic

import pytest
from confluent_kafka import KafkaError, murmur2
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from feeds.errors import BrokerUnavailable
from feeds.kafka.embedded import EmbeddedCluster
from feeds.kafka.last_updates import LastUpdates
from feeds.kafka.producer import ACK_TIMEOUT_SECONDS, Period, UpdateProducer
from feeds.wire import Update, encode
from stockwatch.local.redis_server import free_port
from tests.support.times import at
from tests.support.waiting import wait_until

AAPL = Update("AAPL", 150.12, 1, 1)


@pytest.fixture
def unreachable() -> Iterator[UpdateProducer]:
    """A producer without a broker, with room for two updates."""
    producer = UpdateProducer(f"127.0.0.1:{free_port()}", "ticks", {"queue.buffering.max.messages": 2})
    yield producer
    producer.close(0)


def test_delivered_updates_are_counted(kafka: str, topic: str):
    producer = UpdateProducer(kafka, topic)
    for number in range(100):
        producer.send("AAPL", encode(Update("AAPL", 1.0, at(number), number)))
        producer.poll()

    assert producer.close(60) == 0
    assert producer.delivered == 100
    assert LastUpdates(kafka, topic, monotonic).read(["AAPL"])["AAPL"].seq_id == 99


def test_a_symbol_has_the_partition_that_java_clients_choose(kafka: str, topic: str):
    producer = UpdateProducer(kafka, topic)
    partitions: dict[str, int] = {}
    producer._period = Period(
        lambda _error, record: partitions.setdefault(record.key().decode(), record.partition() or 0)
    )
    symbols = ["AAPL", "GOOG", "BRK.B", "^GSPC", "BTC/USD"]
    for symbol in symbols:
        producer.send(symbol, encode(Update(symbol, 1.0, 1, 1)))
    producer.close(60)

    assert partitions == {symbol: murmur2(symbol.encode(), 4) for symbol in symbols}


def test_a_producer_that_was_not_used_has_no_failures(kafka: str, topic: str):
    assert UpdateProducer(kafka, topic).close(1) == 0


def test_a_full_queue_makes_the_caller_wait_and_is_logged_once(unreachable: UpdateProducer):
    with capture_logs() as lines:
        for _ in range(2):
            unreachable.send("AAPL", encode(AAPL))
        for _ in range(2):
            with pytest.raises(BrokerUnavailable, match="stays full"):
                unreachable.send("AAPL", encode(AAPL))

    assert [line["log_level"] for line in lines if line["log_level"] != "debug"] == ["warning"]


def test_updates_not_delivered_in_time_are_counted_and_logged_with_the_reason(unreachable: UpdateProducer):
    unreachable.send("AAPL", encode(AAPL))
    unreachable.send("AAPL", encode(AAPL))
    with capture_logs() as lines:
        assert unreachable.close(0.1) == 2

    logged = [line for line in lines if line["event"] == "updates not delivered"]
    assert [(line["reason"], line["count"]) for line in logged] == [("_PURGE_QUEUE", 2)]


def failed_metric(reason: str) -> float:
    return REGISTRY.get_sample_value("stockwatch_generator_failed_total", {"reason": reason}) or 0.0


def test_a_failed_delivery_is_counted_in_the_metric_when_it_happens(kafka: str, topic: str):
    producer = UpdateProducer(kafka, topic, {"message.timeout.ms": 100, "linger.ms": 0})
    before = failed_metric("_MSG_TIMED_OUT"), failed_metric("MSG_SIZE_TOO_LARGE")
    producer.send("AAPL", b"x" * 2_000_000)
    assert failed_metric("MSG_SIZE_TOO_LARGE") == before[1] + 1

    unreachable = UpdateProducer(f"127.0.0.1:{free_port()}", "ticks", {"message.timeout.ms": 100})
    unreachable.send("AAPL", encode(AAPL))
    wait_until(lambda: unreachable.poll() or failed_metric("_MSG_TIMED_OUT") == before[0] + 1)
    assert unreachable.close(0) == 1
    producer.close(1)


def test_updates_left_at_the_end_are_counted_in_the_metric(unreachable: UpdateProducer):
    before = failed_metric("_PURGE_QUEUE")
    for _ in range(2):
        unreachable.send("AAPL", encode(AAPL))
    unreachable.close(0.1)

    assert failed_metric("_PURGE_QUEUE") == before + 2


def test_a_failure_is_logged_once(unreachable: UpdateProducer):
    unreachable.failed["MSG_SIZE_TOO_LARGE"] += 3
    with capture_logs() as lines:
        unreachable.log_failures()
        unreachable.log_failures()

    assert len(lines) == 1


def test_missing_acknowledgements_are_logged_once_and_an_idle_producer_is_not():
    time = [0.0]
    options = {"error_cb": lambda _error: None}
    producer = UpdateProducer(f"127.0.0.1:{free_port()}", "ticks", options, clock=lambda: time[0])
    with capture_logs() as lines:
        producer.poll()
        for time[0] in (0.0, 100.0):
            producer.log_failures()
        producer.send("AAPL", encode(AAPL))
        for time[0] in (100.0, 100.0 + ACK_TIMEOUT_SECONDS / 2):
            producer.log_failures()
        assert lines == []
        for time[0] in (100.0 + ACK_TIMEOUT_SECONDS, 100.0 + 2 * ACK_TIMEOUT_SECONDS):
            producer.log_failures()
    producer.close(0)

    assert [(line["event"], line["reason"][:21]) for line in lines] == [("Kafka unavailable", "no acknowledgement fo")]


def test_the_time_without_an_acknowledgement_counts_from_the_first_queued_update():
    time = [50_000.0]
    options = {"error_cb": lambda _error: None}
    producer = UpdateProducer(f"127.0.0.1:{free_port()}", "ticks", options, clock=lambda: time[0])
    with capture_logs() as lines:
        producer.send("AAPL", encode(AAPL))
        for time[0] in (50_000.1, 50_000.0 + ACK_TIMEOUT_SECONDS - 0.1):
            producer.log_failures()
        assert lines == []
        time[0] = 50_000.0 + ACK_TIMEOUT_SECONDS
        producer.log_failures()
    producer.close(0)

    assert [line["event"] for line in lines] == ["Kafka unavailable"]


def test_an_update_that_is_too_large_is_a_failure_with_a_reason(kafka: str, topic: str):
    producer = UpdateProducer(kafka, topic)
    producer.send("AAPL", b"x" * 2_000_000)

    assert producer.close(5) == 1
    assert producer.failed == {"MSG_SIZE_TOO_LARGE": 1}


def test_after_a_fatal_error_a_new_client_continues(kafka: str, topic: str):
    producer = UpdateProducer(kafka, topic)
    producer.send("AAPL", encode(AAPL))
    with capture_logs() as lines:
        producer._handle_produce_error(KafkaError(KafkaError._FATAL, "the end", fatal=True))
    producer.send("AAPL", encode(AAPL))

    assert producer.close(10) >= 1
    assert producer.delivered + producer.failed.total() == 3
    assert [line["log_level"] for line in lines] == ["error"]


def test_updates_left_when_the_brokers_end_are_counted():
    cluster = EmbeddedCluster(brokers=1)
    cluster.start()
    producer = UpdateProducer(cluster.addresses, "ticks")
    producer.send("AAPL", encode(AAPL))
    wait_until(lambda: producer.poll() or producer.delivered)
    cluster.close()
    producer.send("AAPL", encode(AAPL))

    assert producer.close(0.3) == 1
    assert producer.delivered == 1


def test_a_barrier_is_finished_when_everything_before_it_is_acknowledged(topic: str):
    with EmbeddedCluster(brokers=1) as cluster:
        producer = UpdateProducer(cluster.addresses, topic)
        assert producer.barrier()()
        producer.send("AAPL", b"{}")
        first = producer.barrier()
        producer.send("AAPL", b"{}")
        second, third = producer.barrier(), producer.barrier()
        assert not first()
        assert not second()
        wait_until(lambda: (producer.poll(0.05), second())[1])

        producer.send("GOOG", b"{}")
        assert first()
        assert third()
        producer.close(10)


def test_a_barrier_is_finished_when_everything_before_it_has_failed(topic: str):
    producer = UpdateProducer(f"127.0.0.1:{free_port()}", topic)
    producer.send("AAPL", b"{}")
    is_finished = producer.barrier()
    assert not is_finished()
    assert producer.close(0.0) == 1

    assert is_finished()
