import threading
import time
from collections.abc import Iterator
from time import monotonic

import pytest
import redis
from structlog.testing import capture_logs

from feeds import metrics
from feeds.errors import LeaseHeld, TickersUnavailable, TopicRefused
from feeds.generator import loop
from feeds.generator.loop import DeliveryTotals
from feeds.kafka.embedded import EmbeddedCluster
from feeds.kafka.last_updates import LastUpdates
from feeds.sources.simulated import Instrument
from feeds.store.connection import connect
from feeds.store.holders import Holder
from feeds.store.ownership import Ownership
from feeds.wire import Update
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.kafka.running_generator import RunningGenerator
from tests.support.waiting import wait_until

AAPL = Instrument("AAPL", 150.0, volatility=0.0)
GOOG = Instrument("GOOG", 2800.0, volatility=0.0)


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "READ_TICKERS_SECONDS", 0.02)
    monkeypatch.setattr(loop, "RENEW_LEASE_SECONDS", 0.02)


@pytest.fixture
def generator(kafka: str, topic: str, client: redis.Redis) -> Iterator[RunningGenerator]:
    generator = RunningGenerator(kafka, topic, client, AAPL, GOOG)
    yield generator
    generator.stop_event.set()


def last_update(kafka: str, topic: str, symbol: str = "AAPL") -> Update:
    return LastUpdates(kafka, topic, monotonic).read([symbol])[symbol]


class SuspendableClock:
    """A clock that can suspend its readers, as the kernel suspends a stopped process."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._running = threading.Event()
        self._running.set()
        self._suspended = threading.Event()

    def __call__(self) -> float:
        if not self._running.is_set():
            self._suspended.set()
            self._running.wait(60)
        return monotonic() + self._offset

    def suspend(self) -> None:
        """Returns when a reader is suspended."""
        self._running.clear()
        assert self._suspended.wait(60)

    def resume(self, seconds: float) -> None:
        """Lets the readers continue with a time that is `seconds` later."""
        self._offset += seconds
        self._running.set()


def await_steps(generator: RunningGenerator) -> None:
    count = generator.producer.delivered
    wait_until(lambda: generator.producer.delivered > count + 20)


def test_it_counts_delivered_updates_and_releases_the_lease(
    generator: RunningGenerator, redis_client: redis.Redis, topic: str
):
    generator.start()
    wait_until(lambda: generator.producer.delivered > 20)
    assert redis_client.exists(f"lease:{topic}")
    totals = generator.stop()

    assert totals.delivered > 20
    assert totals.undelivered == 0
    assert not redis_client.exists(f"lease:{topic}")


def test_a_restart_continues_the_seq_ids_without_a_gap(
    generator: RunningGenerator, kafka: str, topic: str, client: redis.Redis
):
    generator.start()
    wait_until(lambda: generator.producer.delivered > 20)
    first = generator.stop()
    start = last_update(kafka, topic).seq_id - first.delivered // 2 + 1
    again = RunningGenerator(kafka, topic, client, AAPL, GOOG).start()
    wait_until(lambda: again.producer.delivered > 20)
    second = again.stop()

    assert last_update(kafka, topic).seq_id == start + (first.delivered + second.delivered) // 2 - 1


def test_changes_of_tickers_take_effect_while_it_runs(generator: RunningGenerator, kafka: str, topic: str):
    generator.start()
    wait_until(lambda: generator.producer.delivered > 2)
    generator.tickers = [Instrument("AAPL", 300.0, volatility=0.0), Instrument("NEW", 7.0, volatility=0.0)]
    wait_until(lambda: LastUpdates(kafka, topic, monotonic).read(["NEW"]))
    count = generator.producer.delivered
    wait_until(lambda: generator.producer.delivered > count + 10)
    final = last_update(kafka, topic, "GOOG")
    generator.stop()

    assert last_update(kafka, topic).price == 300.0
    assert last_update(kafka, topic, "NEW").price == 7.0
    assert last_update(kafka, topic, "GOOG") == final


def test_a_database_outage_is_logged_once_and_the_last_tickers_are_fed(generator: RunningGenerator):
    generator.start()
    wait_until(lambda: generator.producer.delivered > 2)
    with capture_logs() as lines:
        generator.tickers = TickersUnavailable("locked")
        wait_until(lambda: any("database unavailable" in line["event"] for line in lines))
        count = generator.producer.delivered
        wait_until(lambda: generator.producer.delivered > count + 20)
        generator.tickers = [AAPL]
        wait_until(lambda: any("database available again" in line["event"] for line in lines))

    assert len([line for line in lines if "database unavailable" in line["event"]]) == 1


def test_it_waits_for_a_missing_table(generator: RunningGenerator):
    generator.tickers = TickersUnavailable("no such table")
    with capture_logs() as lines:
        generator.start()
        wait_until(lambda: any("no such table" in line.get("reason", "") for line in lines))
        generator.tickers = [AAPL]
        wait_until(lambda: generator.producer.delivered)


def test_a_stop_ends_the_wait_for_tickers(generator: RunningGenerator):
    generator.tickers = TickersUnavailable("no such table")
    with capture_logs() as lines:
        generator.start()
        wait_until(lambda: any(line.get("log_level") == "warning" for line in lines))
        assert generator.stop() == DeliveryTotals(delivered=0, undelivered=0)


def test_a_stop_ends_the_wait_for_kafka(generator: RunningGenerator):
    generator.read_last_updates = lambda _symbols: generator.stop_event.set()

    assert generator.start().stop() == DeliveryTotals(delivered=0, undelivered=0)


def test_a_refused_topic_ends_it_and_releases_the_lease(
    generator: RunningGenerator, redis_client: redis.Redis, topic: str
):
    def refuse(_symbols: object) -> dict[str, Update]:
        raise TopicRefused("no rights")

    generator.read_last_updates = refuse
    generator.start().wait()

    assert isinstance(generator.error, TopicRefused)
    assert not redis_client.exists(f"lease:{topic}")


def test_without_active_tickers_it_logs_a_warning_and_sends_nothing(generator: RunningGenerator):
    generator.tickers = []
    with capture_logs() as lines:
        generator.start()
        wait_until(lambda: any("no active tickers" in line["event"] for line in lines))
        assert generator.stop() == DeliveryTotals(delivered=0, undelivered=0)


def test_it_ends_if_another_generator_takes_the_lease(
    generator: RunningGenerator, redis_client: redis.Redis, topic: str
):
    generator.start()
    wait_until(lambda: generator.producer.delivered > 2)
    redis_client.set(f"lease:{topic}", "elsewhere:7:token")
    generator.wait()

    assert isinstance(generator.error, LeaseHeld)
    assert redis_client.get(f"lease:{topic}") == b"elsewhere:7:token"


def test_a_generator_that_never_held_the_lease_waits_for_redis_and_the_last_holder_continues(kafka: str, topic: str):
    server = RedisServer()
    ours = connect({"host": server.host, "port": server.port})
    generator = RunningGenerator(kafka, topic, ours, AAPL)
    with capture_logs() as lines:
        generator.start()
        wait_until(lambda: any("waiting for the lease" in line.get("reason", "") for line in lines))
        assert generator.producer.delivered == 0
        assert not any(line["event"] == "generator ready" for line in lines)
        with server:
            wait_until(lambda: generator.producer.delivered > 10)
            client = redis.Redis(host=server.host, port=server.port)
            assert client.exists(f"lease:{topic}")
            server.kill()
            count = generator.producer.delivered
            wait_until(lambda: generator.producer.delivered > count + 10)
            client.close()
        generator.stop()

    logged = [line["log_level"] for line in lines if line["event"].startswith("Redis ")]
    assert logged[:2] == ["warning", "info"]
    assert logged.count("warning") <= 2
    ours.close()


def test_a_generator_that_waits_for_the_lease_can_be_stopped(kafka: str, topic: str):
    client = connect({"host": "127.0.0.1", "port": free_port()})
    generator = RunningGenerator(kafka, topic, client, AAPL)
    with capture_logs() as lines:
        generator.start()
        wait_until(lambda: any("waiting for the lease" in line.get("reason", "") for line in lines))
        assert generator.stop() == DeliveryTotals(delivered=0, undelivered=0)
    client.close()


def test_prices_stay_new_if_the_system_clock_is_set_back_an_hour(generator: RunningGenerator, kafka: str, topic: str):
    generator.start()
    wait_until(lambda: generator.producer.delivered)
    generator.now = lambda: time.time_ns() - 3_600_000_000_000
    set_back_at = time.time_ns() // 1000
    count = generator.producer.delivered
    wait_until(lambda: generator.producer.delivered > count + 100)
    generator.stop()

    # A hundred updates are fifty steps of 10 ms; a clock that stands still would have moved 50 us.
    assert last_update(kafka, topic).timestamp > set_back_at + 100_000


def test_a_start_with_a_clock_that_is_an_hour_behind_continues_and_is_logged(
    generator: RunningGenerator, kafka: str, topic: str, client: redis.Redis
):
    generator.start()
    wait_until(lambda: generator.producer.delivered)
    generator.stop()
    newest = last_update(kafka, topic).timestamp
    again = RunningGenerator(kafka, topic, client, AAPL, GOOG)
    again.now = lambda: time.time_ns() - 3_600_000_000_000
    with capture_logs() as lines:
        again.start()
        wait_until(lambda: again.producer.delivered > 20)
        again.stop()

    warned = [line["seconds"] for line in lines if "until the clock has caught up" in line["event"]]
    assert len(warned) == 1
    assert 3000 < warned[0] <= 3600
    assert newest < last_update(kafka, topic).timestamp


def test_a_bug_in_a_thread_is_logged_and_the_thread_continues(generator: RunningGenerator):
    generator.start()
    wait_until(lambda: generator.producer.delivered)
    with capture_logs() as lines:
        generator.tickers = ValueError("a bug")
        wait_until(lambda: any(line["log_level"] == "error" for line in lines))
        generator.tickers = [AAPL]
        count = generator.producer.delivered
        wait_until(lambda: generator.producer.delivered > count)


def failed_metric() -> float:
    """The failures of all reasons."""
    samples = metrics.FAILED.collect()[0].samples
    return sum(sample.value for sample in samples if sample.name == "stockwatch_generator_failed_total")


def test_undelivered_updates_are_reported_and_counted_in_the_metric(
    topic: str, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loop, "FLUSH_SECONDS_IN_OUTAGE", 0.2)
    failed_before = failed_metric()
    with EmbeddedCluster(brokers=1) as cluster:
        generator = RunningGenerator(cluster.addresses, topic, client, AAPL, GOOG)
        generator.producer._options["queue.buffering.max.messages"] = 8
        generator.start()
        wait_until(lambda: generator.producer.delivered > 4)
        cluster.close()
        wait_until(lambda: generator.producer.outage.ongoing)
        wait_until(lambda: len(generator.producer._producer) >= 8, what="a full queue")
        totals = generator.stop()

    assert totals.delivered > 4
    assert totals.undelivered >= 8
    assert failed_metric() == failed_before + totals.undelivered


def test_a_symbol_that_another_process_owns_is_fed_when_it_is_released(
    generator: RunningGenerator, client: redis.Redis, kafka: str, topic: str
):
    other = Ownership(client, topic, Holder())
    other.claim(["AAPL"])
    with capture_logs() as lines:
        generator.start()
        wait_until(lambda: generator.producer.delivered > 20)
        assert list(LastUpdates(kafka, topic, monotonic).read(["AAPL", "GOOG"])) == ["GOOG"]
        assert [line["symbols"] for line in lines if "waiting for symbols" in line["event"]] == [["AAPL"]]
        other.release(["AAPL"])
        wait_until(lambda: LastUpdates(kafka, topic, monotonic).read(["AAPL"]))


def test_symbols_are_released_when_it_ends(generator: RunningGenerator, client: redis.Redis, topic: str):
    generator.start()
    wait_until(lambda: generator.producer.delivered)
    other = Ownership(client, topic, Holder())
    assert other.claim(["AAPL", "GOOG"]) == set()
    generator.stop()

    assert other.claim(["AAPL", "GOOG"]) == {"AAPL", "GOOG"}


def test_a_lost_symbol_is_no_longer_fed(
    generator: RunningGenerator, client: redis.Redis, redis_client: redis.Redis, kafka: str, topic: str
):
    generator.start()
    wait_until(lambda: generator.producer.delivered)
    other = Ownership(client, topic, Holder())
    with capture_logs() as lines:
        wait_until(lambda: redis_client.delete(f"owner:{topic}:AAPL") and other.claim(["AAPL"]))
        wait_until(lambda: any("symbols lost" in line["event"] for line in lines))
    await_steps(generator)
    final = last_update(kafka, topic)
    await_steps(generator)

    assert last_update(kafka, topic) == final


def test_after_a_stall_the_symbols_are_renewed_before_the_next_update(
    generator: RunningGenerator, client: redis.Redis, redis_client: redis.Redis, kafka: str, topic: str, monkeypatch
):
    monkeypatch.setattr(loop, "RENEW_LEASE_SECONDS", 3600.0)  # only the end of the stall can show the loss
    clock = SuspendableClock()
    generator.clock = clock
    generator.start()
    wait_until(lambda: generator.producer.delivered)
    clock.suspend()
    assert generator.producer._producer.flush(10) == 0
    final = last_update(kafka, topic)
    redis_client.delete(f"owner:{topic}:AAPL")
    assert Ownership(client, topic, Holder()).claim(["AAPL"])
    clock.resume(10.0)
    await_steps(generator)

    assert last_update(kafka, topic) == final


def test_while_redis_is_unavailable_new_tickers_wait_and_the_others_are_fed(kafka: str, topic: str):
    server = RedisServer()
    with server:
        client = connect({"host": server.host, "port": server.port})
        generator = RunningGenerator(kafka, topic, client, AAPL).start()
        wait_until(lambda: generator.producer.delivered)
        server.kill()
        generator.tickers = [AAPL, GOOG]
        await_steps(generator)
        assert list(LastUpdates(kafka, topic, monotonic).read(["AAPL", "GOOG"])) == ["AAPL"]
        server.start()
        wait_until(lambda: LastUpdates(kafka, topic, monotonic).read(["GOOG"]))
        assert generator.stop().undelivered == 0
        client.close()
