import threading
from collections.abc import Callable, Iterator
from time import monotonic

import pytest
import redis
from structlog.testing import capture_logs

from feeds.errors import LeaseHeld, StoreUnavailable, TickersUnavailable, TopicRefused
from feeds.generator import loop as cadence
from feeds.generator.lease import Lease
from feeds.generator.loop import GeneratorLoop, Report
from feeds.kafka.embedded import EmbeddedCluster
from feeds.kafka.last_updates import LastUpdates
from feeds.kafka.producer import UpdateProducer
from feeds.sources.simulated import Instrument, PriceSimulator
from feeds.store.connection import connect
from feeds.wire import Update
from stockwatch.local.redis_server import RedisServer
from tests.support.waiting import wait_until

AAPL = Instrument("AAPL", 150.0, volatility=0.0)
GOOG = Instrument("GOOG", 2800.0, volatility=0.0)


class Feeding:
    """A feeder in a thread of its own, with tickers that the test may change."""

    def __init__(self, brokers: str, topic: str, lease: Lease, *instruments: Instrument) -> None:
        self.tickers: list[Instrument] | Exception = list(instruments)
        self.history: Callable[..., dict[str, Update]] = LastUpdates(brokers, topic, monotonic).read
        self.sink = UpdateProducer(brokers, topic)
        self.stop = threading.Event()
        self.report: Report | None = None
        self.error: Exception | None = None
        look_back = lambda symbols: self.history(symbols)  # noqa: E731
        feeder = GeneratorLoop(PriceSimulator(0.01, "1"), self.sink, lease, self._read, look_back, 0.01)
        self._thread = threading.Thread(target=self._run, args=(feeder,), daemon=True)

    def start(self) -> "Feeding":
        self._thread.start()
        return self

    def end(self) -> Report:
        self.stop.set()
        self.wait()
        assert self.report is not None
        return self.report

    def wait(self) -> None:
        self._thread.join(15)
        assert not self._thread.is_alive()

    def _read(self) -> list[Instrument]:
        if isinstance(self.tickers, Exception):
            raise self.tickers
        return list(self.tickers)

    def _run(self, feeder: GeneratorLoop) -> None:
        try:
            self.report = feeder.run(self.stop)
        except Exception as error:
            self.error = error


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cadence, "TICKERS_EVERY", 0.02)
    monkeypatch.setattr(cadence, "LEASE_EVERY", 0.02)


@pytest.fixture
def lease(redis_server: RedisServer, redis_client: redis.Redis, topic: str) -> Iterator[Lease]:
    lease = Lease(connect({"host": redis_server.host, "port": redis_server.port}), topic)
    yield lease
    lease.close()


@pytest.fixture
def feeding(kafka: str, topic: str, lease: Lease) -> Iterator[Feeding]:
    feeding = Feeding(kafka, topic, lease, AAPL, GOOG)
    yield feeding
    feeding.stop.set()


def last(kafka: str, topic: str, symbol: str = "AAPL") -> Update:
    return LastUpdates(kafka, topic, monotonic).read([symbol])[symbol]


def test_it_reports_what_was_delivered_and_gives_the_lease_back(
    feeding: Feeding, redis_client: redis.Redis, topic: str
):
    feeding.start()
    wait_until(lambda: feeding.sink.delivered > 20)
    assert redis_client.exists(f"lease:{topic}")
    report = feeding.end()

    assert report.delivered > 20
    assert report.missing == 0
    assert not redis_client.exists(f"lease:{topic}")


def test_a_restart_continues_the_numbers_without_a_gap(feeding: Feeding, kafka: str, topic: str, lease: Lease):
    feeding.start()
    wait_until(lambda: feeding.sink.delivered > 20)
    first = feeding.end()
    start = last(kafka, topic).seq_id - first.delivered // 2 + 1
    again = Feeding(kafka, topic, lease, AAPL, GOOG).start()
    wait_until(lambda: again.sink.delivered > 20)
    second = again.end()

    assert last(kafka, topic).seq_id == start + (first.delivered + second.delivered) // 2 - 1


def test_a_new_base_price_a_new_ticker_and_one_switched_off_take_effect_while_it_runs(
    feeding: Feeding, kafka: str, topic: str
):
    feeding.start()
    wait_until(lambda: feeding.sink.delivered > 2)
    feeding.tickers = [Instrument("AAPL", 300.0, volatility=0.0), Instrument("NEW", 7.0, volatility=0.0)]
    wait_until(lambda: LastUpdates(kafka, topic, monotonic).read(["NEW"]))
    count = feeding.sink.delivered
    wait_until(lambda: feeding.sink.delivered > count + 10)
    gone = last(kafka, topic, "GOOG")
    feeding.end()

    assert last(kafka, topic).price == 300.0
    assert last(kafka, topic, "NEW").price == 7.0
    assert last(kafka, topic, "GOOG") == gone


def test_a_database_that_goes_away_is_said_once_and_the_last_tickers_go_on(feeding: Feeding):
    feeding.start()
    wait_until(lambda: feeding.sink.delivered > 2)
    with capture_logs() as lines:
        feeding.tickers = TickersUnavailable("locked")
        wait_until(lambda: any("the database is away" in line["event"] for line in lines))
        count = feeding.sink.delivered
        wait_until(lambda: feeding.sink.delivered > count + 20)
        feeding.tickers = [AAPL]
        wait_until(lambda: any("the database is back" in line["event"] for line in lines))

    assert len([line for line in lines if "the database is away" in line["event"]]) == 1


def test_without_the_table_it_waits_for_it(feeding: Feeding):
    feeding.tickers = TickersUnavailable("no such table")
    with capture_logs() as lines:
        feeding.start()
        wait_until(lambda: any("no such table" in line.get("reason", "") for line in lines))
        feeding.tickers = [AAPL]
        wait_until(lambda: feeding.sink.delivered)


def test_a_stop_while_it_waits_ends_it_with_nothing_owed(feeding: Feeding):
    feeding.tickers = TickersUnavailable("no such table")
    with capture_logs() as lines:
        feeding.start()
        wait_until(lambda: any(line.get("log_level") == "warning" for line in lines))
        assert feeding.end() == Report(delivered=0, missing=0)


def test_a_stop_while_it_waits_for_kafka_ends_it_too(feeding: Feeding):
    feeding.history = lambda _symbols: feeding.stop.set()

    assert feeding.start().end() == Report(delivered=0, missing=0)


def test_a_topic_that_cannot_be_had_ends_it_and_frees_the_lease(
    feeding: Feeding, redis_client: redis.Redis, topic: str
):
    def refuse(_symbols: object) -> dict[str, Update]:
        raise TopicRefused("no rights")

    feeding.history = refuse
    feeding.start().wait()

    assert isinstance(feeding.error, TopicRefused)
    assert not redis_client.exists(f"lease:{topic}")


def test_no_active_ticker_is_said_and_feeds_nothing(feeding: Feeding):
    feeding.tickers = []
    with capture_logs() as lines:
        feeding.start()
        wait_until(lambda: any("no ticker is active" in line["event"] for line in lines))
        assert feeding.end() == Report(delivered=0, missing=0)


def test_one_who_finds_another_with_the_lease_while_it_runs_ends(
    feeding: Feeding, redis_client: redis.Redis, topic: str
):
    feeding.start()
    wait_until(lambda: feeding.sink.delivered > 2)
    redis_client.set(f"lease:{topic}", "elsewhere:7:token")
    feeding.wait()

    assert isinstance(feeding.error, LeaseHeld)
    assert redis_client.get(f"lease:{topic}") == b"elsewhere:7:token"


def test_redis_away_is_said_once_it_feeds_all_the_same_and_takes_the_lease_later(kafka: str, topic: str):
    server = RedisServer()
    lease = Lease(connect({"host": server.host, "port": server.port}), topic)
    feeding = Feeding(kafka, topic, lease, AAPL)
    with capture_logs() as lines:
        feeding.start()
        wait_until(lambda: feeding.sink.delivered > 10)
        with server:
            client = redis.Redis(host=server.host, port=server.port)
            wait_until(lambda: client.exists(f"lease:{topic}"))
            server.kill()
            count = feeding.sink.delivered
            wait_until(lambda: feeding.sink.delivered > count + 10)
            client.close()
        feeding.end()

    said = [line["log_level"] for line in lines if line["event"].startswith("Redis is")]
    assert said[:2] == ["warning", "info"]
    assert said.count("warning") <= 2
    lease.close()


def test_a_watch_that_fails_by_an_error_of_ours_is_logged_and_goes_on(feeding: Feeding):
    feeding.start()
    wait_until(lambda: feeding.sink.delivered)
    with capture_logs() as lines:
        feeding.tickers = ValueError("an error of ours")
        wait_until(lambda: any(line["log_level"] == "error" for line in lines))
        feeding.tickers = [AAPL]
        count = feeding.sink.delivered
        wait_until(lambda: feeding.sink.delivered > count)


class NoLease:
    """Redis away for good."""

    def acquire(self, wait: object) -> None:
        raise StoreUnavailable("away")

    def renew(self) -> None:
        raise StoreUnavailable("away")

    def release(self) -> None:
        raise StoreUnavailable("away")


def test_what_the_brokers_did_not_get_is_reported(topic: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cadence, "FLUSH_AWAY", 0.2)
    with EmbeddedCluster(brokers=1) as cluster:
        feeding = Feeding(cluster.addresses, topic, NoLease(), AAPL, GOOG)
        feeding.sink._options["queue.buffering.max.messages"] = 8
        feeding.start()
        wait_until(lambda: feeding.sink.delivered > 4)
        cluster.close()
        wait_until(lambda: feeding.sink.outage.lasting)
        wait_until(lambda: len(feeding.sink._producer) >= 8, what="a full queue")
        report = feeding.end()

    assert report.delivered > 4
    assert report.missing >= 8
