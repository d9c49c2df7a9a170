import threading
import time
from collections.abc import Callable, Iterator
from time import monotonic

import pytest
import redis
from structlog.testing import capture_logs

from feeds import metrics
from feeds.errors import LeaseHeld, StoreUnavailable, TickersUnavailable, TopicRefused
from feeds.generator import loop
from feeds.generator.loop import DeliveryTotals, GeneratorLoop
from feeds.kafka.embedded import EmbeddedCluster
from feeds.kafka.last_updates import LastUpdates
from feeds.kafka.producer import UpdateProducer
from feeds.sources.simulated import Instrument, PriceSimulator
from feeds.store.connection import connect
from feeds.store.holders import Holder
from feeds.store.lease import Lease
from feeds.wire import Update
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.waiting import wait_until

AAPL = Instrument("AAPL", 150.0, volatility=0.0)
GOOG = Instrument("GOOG", 2800.0, volatility=0.0)


class RunningGenerator:
    """A generator in a thread, with tickers and history that the test may change."""

    def __init__(self, brokers: str, topic: str, lease: Lease, *instruments: Instrument) -> None:
        self.tickers: list[Instrument] | Exception = list(instruments)
        self.read_last_updates: Callable[..., dict[str, Update]] = LastUpdates(brokers, topic, monotonic).read
        self.producer = UpdateProducer(brokers, topic)
        self.now = time.time_ns
        self.stop_event = threading.Event()
        self.totals: DeliveryTotals | None = None
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(lease,), daemon=True)

    def start(self) -> "RunningGenerator":
        self._thread.start()
        return self

    def stop(self) -> DeliveryTotals:
        self.stop_event.set()
        self.wait()
        assert self.totals is not None
        return self.totals

    def wait(self) -> None:
        self._thread.join(15)
        assert not self._thread.is_alive()

    def _read_tickers(self) -> list[Instrument]:
        if isinstance(self.tickers, Exception):
            raise self.tickers
        return list(self.tickers)

    def _run(self, lease: Lease) -> None:
        generator = GeneratorLoop(
            PriceSimulator(0.01, "1"),
            self.producer,
            lease,
            self._read_tickers,
            lambda *args: self.read_last_updates(*args),
            0.01,
            now=lambda: self.now(),
        )
        try:
            self.totals = generator.run(self.stop_event)
        except Exception as error:
            self.error = error


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "READ_TICKERS_SECONDS", 0.02)
    monkeypatch.setattr(loop, "RENEW_LEASE_SECONDS", 0.02)


@pytest.fixture
def lease(redis_server: RedisServer, redis_client: redis.Redis, topic: str) -> Iterator[Lease]:
    lease = Lease(
        connect({"host": redis_server.host, "port": redis_server.port}), topic, f"generator feeds {topic}", Holder()
    )
    yield lease
    lease.close()


@pytest.fixture
def generator(kafka: str, topic: str, lease: Lease) -> Iterator[RunningGenerator]:
    generator = RunningGenerator(kafka, topic, lease, AAPL, GOOG)
    yield generator
    generator.stop_event.set()


def last_update(kafka: str, topic: str, symbol: str = "AAPL") -> Update:
    return LastUpdates(kafka, topic, monotonic).read([symbol])[symbol]


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
    generator: RunningGenerator, kafka: str, topic: str, lease: Lease
):
    generator.start()
    wait_until(lambda: generator.producer.delivered > 20)
    first = generator.stop()
    start = last_update(kafka, topic).seq_id - first.delivered // 2 + 1
    again = RunningGenerator(kafka, topic, lease, AAPL, GOOG).start()
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
    lease = Lease(connect({"host": server.host, "port": server.port}), topic, f"generator feeds {topic}", Holder())
    generator = RunningGenerator(kafka, topic, lease, AAPL)
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
    lease.close()


def test_a_generator_that_waits_for_the_lease_can_be_stopped(kafka: str, topic: str):
    lease = Lease(connect({"host": "127.0.0.1", "port": free_port()}), topic, f"generator feeds {topic}", Holder())
    generator = RunningGenerator(kafka, topic, lease, AAPL)
    with capture_logs() as lines:
        generator.start()
        wait_until(lambda: any("waiting for the lease" in line.get("reason", "") for line in lines))
        assert generator.stop() == DeliveryTotals(delivered=0, undelivered=0)
    lease.close()


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


class UnavailableLease:
    """A lease that was taken just before Redis became unavailable."""

    def acquire(self, wait: object) -> None:
        pass

    def renew(self) -> None:
        raise StoreUnavailable("unavailable")

    def release(self) -> None:
        raise StoreUnavailable("unavailable")


def test_undelivered_updates_are_reported_and_counted_in_the_metric(topic: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loop, "FLUSH_SECONDS_IN_OUTAGE", 0.2)
    failed_before = failed_metric()
    with EmbeddedCluster(brokers=1) as cluster:
        generator = RunningGenerator(cluster.addresses, topic, UnavailableLease(), AAPL, GOOG)
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
