"""A ticker's source changes between the generator and another process, with real Redis and Kafka."""

import threading
import time
from collections.abc import Iterator
from itertools import groupby, pairwise
from time import monotonic

import pytest
import redis

from feeds.generator import loop
from feeds.kafka.last_updates import LastUpdates
from feeds.kafka.producer import UpdateProducer
from feeds.sources.simulated import Instrument
from feeds.store.holders import Holder
from feeds.store.ownership import Ownership
from feeds.wire import Update, encode
from tests.support.kafka.running_generator import RunningGenerator
from tests.support.kafka.traffic import read_log
from tests.support.waiting import wait_until

CHANGES = 8
AAPL = Instrument("AAPL", 150.0, volatility=0.0)
GOOG = Instrument("GOOG", 2800.0, volatility=0.0)
FEEDER_PRICE = 150.125
"""The price of all updates of the feeder. The generator continues with this price, but rounds it to two decimals."""


class Feeder:
    """A process that publishes AAPL while `wanted` is set, by the rules of `feeds.store.ownership`."""

    def __init__(self, brokers: str, topic: str, client: redis.Redis) -> None:
        self.wanted = threading.Event()
        self.producer = UpdateProducer(brokers, topic)
        self._ownership = Ownership(client, topic, Holder())
        self._last_updates = LastUpdates(brokers, topic, monotonic)
        self._last: Update | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.005):
            if not self.wanted.is_set():
                self._give_up()
            elif self._last is not None:
                self._publish(self._last)
            elif self._ownership.claim(["AAPL"]):
                self._last = self._last_updates.read(["AAPL"])["AAPL"]

    def _publish(self, last: Update) -> None:
        assert self._ownership.renew(["AAPL"])
        now = time.time_ns() // 1000
        self._last = Update("AAPL", FEEDER_PRICE, max(now, last.timestamp + 1), last.seq_id + 1)
        self.producer.send("AAPL", encode(self._last))
        self.producer.poll()

    def _give_up(self) -> None:
        if self._last is not None:
            is_acknowledged = self.producer.barrier()
            while not is_acknowledged():
                self.producer.poll(0.01)
            self._ownership.release(["AAPL"])
            self._last = None

    def close(self) -> None:
        self.wanted.clear()
        wait_until(lambda: self._last is None)
        self._stop.set()
        self._thread.join(60)
        assert self.producer.close(60) == 0


@pytest.fixture
def generator(
    kafka: str, topic: str, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningGenerator]:
    monkeypatch.setattr(loop, "READ_TICKERS_SECONDS", 0.02)
    monkeypatch.setattr(loop, "RENEW_LEASE_SECONDS", 0.02)
    generator = RunningGenerator(kafka, topic, client, AAPL, GOOG)
    # Acknowledgements come late, so that a release before the last acknowledgement would repeat seq_ids.
    generator.producer._options["linger.ms"] = 100
    generator.start()
    yield generator
    generator.stop_event.set()


def read_updates(kafka: str, topic: str, symbol: str) -> list[Update]:
    """Returns all updates of a symbol in the order of the topic."""
    return [update for update, _offset in read_log(kafka, topic) if update.symbol == symbol]


def assert_continuous(updates: list[Update]) -> None:
    assert all(second.seq_id == first.seq_id + 1 for first, second in pairwise(updates))
    assert all(second.timestamp > first.timestamp for first, second in pairwise(updates))


def test_a_ticker_that_changes_its_source_has_one_owner_at_a_time_and_its_seq_ids_go_on(
    generator: RunningGenerator, client: redis.Redis, kafka: str, topic: str
):
    wait_until(lambda: generator.producer.delivered > 20)
    feeder = Feeder(kafka, topic, client)
    last_updates = LastUpdates(kafka, topic, monotonic)
    for change in range(CHANGES):
        to_feeder = change % 2 == 0
        generator.tickers = [GOOG] if to_feeder else [AAPL, GOOG]
        if to_feeder:
            feeder.wanted.set()
        else:
            feeder.wanted.clear()
        wait_until(lambda to=to_feeder: (last_updates.read(["AAPL"])["AAPL"].price == FEEDER_PRICE) == to)
    feeder.close()
    assert generator.stop().undelivered == 0

    updates = read_updates(kafka, topic, "AAPL")
    assert_continuous(updates)
    assert_continuous(read_updates(kafka, topic, "GOOG"))
    runs = [is_feeder for is_feeder, _updates in groupby(updates, lambda update: update.price == FEEDER_PRICE)]
    assert runs == [number % 2 == 1 for number in range(CHANGES + 1)]


def test_a_ticker_that_changes_back_before_it_is_released_is_fed_again(
    generator: RunningGenerator, kafka: str, topic: str
):
    for _ in range(20):
        generator.tickers = [GOOG]
        generator.tickers = [AAPL, GOOG]
        count = generator.producer.delivered
        wait_until(lambda count=count: generator.producer.delivered > count + 2)
    number = LastUpdates(kafka, topic, monotonic).read(["AAPL"])["AAPL"].seq_id
    wait_until(lambda: LastUpdates(kafka, topic, monotonic).read(["AAPL"])["AAPL"].seq_id > number)
    generator.stop()

    assert_continuous(read_updates(kafka, topic, "AAPL"))


def test_a_ticker_that_is_gone_before_its_last_update_was_read_is_released(
    generator: RunningGenerator, client: redis.Redis, topic: str
):
    wait_until(lambda: generator.producer.delivered)
    read, may_read = generator.read_last_updates, threading.Event()
    is_reading = threading.Event()

    def read_late(symbols: set[str]) -> dict[str, Update]:
        is_reading.set()
        assert may_read.wait(60)
        return read(symbols)

    generator.read_last_updates = read_late
    generator.tickers = [AAPL, GOOG, Instrument("NEW", 7.0)]
    assert is_reading.wait(60)
    generator.tickers = [AAPL, GOOG]
    may_read.set()
    wait_until(lambda: Ownership(client, topic, Holder()).claim(["NEW"]))
