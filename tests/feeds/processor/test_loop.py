import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
import redis
from confluent_kafka import murmur2
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from feeds.errors import StoreUnavailable
from feeds.kafka.consumer import UpdateConsumer
from feeds.kafka.dead_letter_topic import DeadLetterTopic, read_dead_letters
from feeds.processor import loop as workers
from feeds.processor.batch import Batch, route
from feeds.processor.loop import Processor
from feeds.store.connection import connect
from feeds.store.quote_writer import QuoteWriter
from feeds.wire import Update, encode
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.kafka.fixtures import Produce, committed
from tests.support.waiting import wait_until

SESSION = timedelta(seconds=3)
SYMBOLS = ("AAPL", "BRK.B", "^GSPC", "BTC/USD", "EURUSD=X")


class Running:
    """A processing loop in a thread of its own."""

    def __init__(self, processing: Processor) -> None:
        self.processing = processing
        self.stop = threading.Event()
        self.done: bool | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.done = self.processing.run(self.stop)

    def end(self) -> bool | None:
        """Whether all that was read was written."""
        self.stop.set()
        return self.wait()

    def wait(self) -> bool | None:
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.done


@pytest.fixture
def group() -> str:
    return f"group-{uuid4().hex}"


Run = Callable[..., Running]


@pytest.fixture
def run(kafka: str, topic: str, group: str, redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[Run]:
    """Starts a loop over the topic; `store` makes each worker's store."""
    started: list[Running] = []

    def open_store() -> QuoteWriter:
        return QuoteWriter(connect({"host": redis_server.host, "port": redis_server.port}), timedelta(hours=1))

    def run(
        workers: int = 3, store: Callable[[], QuoteWriter] = open_store, clock: Callable[[], float] = time.monotonic
    ) -> Running:
        source = UpdateConsumer(kafka, topic, group, SESSION)
        started.append(Running(Processor(source, dead_letters(kafka, topic), store, workers, topic, clock=clock)))
        return started[-1]

    yield run
    for each in started:
        each.end()


def dead_letters(brokers: str, topic: str) -> DeadLetterTopic:
    return DeadLetterTopic(brokers, f"{topic}.dlq", timedelta(days=7))


class OffsetLedger:
    """What is published, by symbol, in order."""

    def __init__(self, server: RedisServer) -> None:
        self._channel = redis.Redis(host=server.host, port=server.port).pubsub()
        self._channel.psubscribe("prices.*")
        self._channel.get_message(timeout=5)
        self.published: dict[str, list[bytes]] = {}

    def count(self) -> int:
        while message := self._channel.get_message(ignore_subscribe_messages=False):
            if message["type"] == "pmessage":
                self.published.setdefault(message["channel"].decode()[7:], []).append(message["data"])
        return sum(map(len, self.published.values()))

    def close(self) -> None:
        self._channel.close()


@pytest.fixture
def ledger(redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[OffsetLedger]:
    ledger = OffsetLedger(redis_server)
    yield ledger
    ledger.close()


def feed(count: int, first: int = 1) -> list[Update]:
    return [Update(symbol, 1.5, number, number) for number in range(first, first + count) for symbol in SYMBOLS]


def expected(updates: list[Update]) -> dict[str, list[bytes]]:
    return {symbol: [encode(each) for each in updates if each.symbol == symbol] for symbol in SYMBOLS}


def test_updates_flow_in_order_bad_records_are_set_aside_and_a_restart_goes_on(
    run: Run, produce: Produce, ledger: OffsetLedger, kafka: str, topic: str, group: str
):
    updates = feed(300)
    bad = [(b"AAPL", b"not JSON"), (b"AAPL", None), (None, b"{}"), (b"GOOG", encode(updates[0]))]
    produce(*updates[:500], *bad, *updates[500:])
    with capture_logs() as lines:
        running = run()
        wait_until(lambda: ledger.count() == 1500)
        assert running.end() is True

    assert ledger.published == expected(updates)
    aside = [line for line in lines if line["event"] == "record set aside"]
    assert len(aside) == 4
    assert {"topic", "partition", "offset", "reason"} <= aside[0].keys()
    letters = list(read_dead_letters(kafka, f"{topic}.dlq"))
    assert sorted(letter.reason for letter in letters) == ["key", "malformed", "malformed", "null"]
    assert not any("not JSON" in str(line.get("record", "")) for line in aside)
    assert committed(kafka, topic, group) == 1504

    produce(*feed(10, first=301))
    run()
    wait_until(lambda: ledger.count() == 1550)
    assert ledger.published == expected(feed(310))


def test_redis_killed_and_back_empty_loses_nothing_and_is_said_once(
    kafka: str, topic: str, group: str, produce: Produce, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(workers, "FULL", 50)
    produce(*feed(1))
    with RedisServer() as server, capture_logs() as lines:
        client = redis.Redis(host=server.host, port=server.port, protocol=2)
        store = lambda: QuoteWriter(connect({"host": server.host, "port": server.port}), timedelta(hours=1))  # noqa: E731
        source = UpdateConsumer(kafka, topic, group, SESSION)
        processing = Processor(source, dead_letters(kafka, topic), store, 2, topic)
        running = Running(processing)
        wait_until(lambda: client.dbsize() == len(SYMBOLS))
        server.kill()
        produce(*feed(400, first=2))
        wait_until(lambda: processing._paused, what="a pause of the partitions")
        server.start()
        heard = OffsetLedger(server)
        last = {symbol: encode(Update(symbol, 1.5, 401, 401)) for symbol in SYMBOLS}
        wait_until(lambda: all(client.get(f"stock:{symbol}") == value for symbol, value in last.items()))
        assert running.end() is True
        heard.count()

        # Published again from somewhere on, without a hole, and in order.
        rest = expected(feed(401))
        for symbol, values in heard.published.items():
            assert values == rest[symbol][-len(values) :]
        heard.close()
        client.close()
    assert committed(kafka, topic, group) == 401 * len(SYMBOLS)
    said = [line for line in lines if line["event"].startswith("Redis is")]
    assert [line["log_level"] for line in said] == ["warning", "info"]


def test_a_stop_while_redis_is_away_ends_in_time_and_commits_nothing_undone(
    run: Run, produce: Produce, kafka: str, topic: str, group: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(workers, "DRAIN", 0.1)
    nowhere = {"host": "127.0.0.1", "port": free_port()}
    produce(*feed(10))
    running = run(store=lambda: QuoteWriter(connect(nowhere), timedelta(hours=1)))
    wait_until(lambda: running.processing._ledger.pending())

    assert running.end() is False
    assert committed(kafka, topic, group) == 0


def test_a_second_processor_takes_its_share_and_nothing_is_lost_or_reordered(
    run: Run, produce: Produce, ledger: OffsetLedger
):
    produce(*feed(100))
    first = run()
    wait_until(lambda: ledger.count() == 500)
    with capture_logs() as lines:
        second = run()
        total = 100
        while not any(line["event"] == "partitions assigned" for line in lines):
            produce(*feed(5, first=total + 1))
            total += 5
            ledger.count()
            assert not second.stop.wait(0.05)
            assert total < 2_000
    produce(*feed(100, first=total + 1))
    wait_until(lambda: ledger.count() == (total + 100) * len(SYMBOLS))

    assert ledger.published == expected(feed(total + 100))
    assert first.end() is True
    assert second.end() is True


class Broken(QuoteWriter):
    """A store with an error of ours in it."""

    def write(self, batch: Batch) -> int:
        raise RuntimeError("an error of ours")


def test_an_error_of_ours_in_a_worker_ends_the_loop_and_commits_nothing_undone(
    run: Run, produce: Produce, kafka: str, topic: str, group: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(workers, "DRAIN", 0.1)
    produce(*feed(1))
    with capture_logs() as lines:
        running = run(workers=1, store=lambda: Broken(connect({"host": "127.0.0.1"}), timedelta(hours=1)))
        assert running.wait() is False

    assert running.processing.failed
    assert [line["log_level"] for line in lines if line["event"] == "a worker failed"] == ["error"]
    assert committed(kafka, topic, group) == 0


class Slow(QuoteWriter):
    """A store that is away until it is let go, and counts who asks."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.asked = 0
        self.written: set[str] = set()

    def write(self, batch: Batch) -> int:
        self.asked += 1
        if not self.let_go.is_set():
            raise StoreUnavailable("away")
        self.written.update(batch.series)
        return batch.size

    def close(self) -> None:
        pass


def test_after_losing_its_partitions_a_processor_starts_no_write_for_them(run: Run, produce: Produce):
    store = Slow()
    produce(*feed(3))
    running = run(workers=1, store=lambda: store)
    wait_until(lambda: store.asked)
    ledger = running.processing._ledger
    running.processing._lost([0, 1, 2, 3])
    asked = store.asked + 1  # one may be under way
    store.let_go.set()

    assert running.end() is True
    assert store.asked <= asked
    assert ledger.pending() == 0


def test_before_there_is_a_broker_it_waits_says_so_once_and_obeys_the_stop(topic: str, group: str):
    source = UpdateConsumer(f"127.0.0.1:{free_port()}", topic, group, SESSION)
    source._topic._timeout = 0.1
    with capture_logs() as lines:
        running = Running(Processor(source, dead_letters("nowhere:1", topic), Slow, 1, topic))
        wait_until(lambda: any(line["event"].startswith("Kafka is away") for line in lines))
        assert running.end() is True

    assert len([line for line in lines if line["log_level"] == "warning"]) == 1


def test_a_worker_that_is_held_is_reported_once_keeps_its_partitions_and_others_go_on(
    run: Run, produce: Produce, redis_server: RedisServer, redis_client: redis.Redis
):
    held = Stuck(connect({"host": redis_server.host, "port": redis_server.port}), timedelta(hours=1))
    free = QuoteWriter(connect({"host": redis_server.host, "port": redis_server.port}), timedelta(hours=1))
    stores = [held, free]
    first = [symbol for symbol in SYMBOLS if route(symbol, 2) == 0]
    rest = set(SYMBOLS) - set(first)
    clock = [0.0]
    produce(*feed(1))
    with capture_logs() as lines:
        running = run(workers=2, store=lambda: stores.pop(0), clock=lambda: clock[0])
        wait_until(lambda: all(redis_client.mget([f"stock:{symbol}" for symbol in rest])))
        wait_until(lambda: in_hand(running) == {0: len(first)})
        clock[0] = workers.HELD + 1
        wait_until(lambda: any("the same updates" in line["event"] for line in lines))
        assert workers_held() == 1
        produce(*feed(20, first=2))
        newest = [encode(Update(symbol, 1.5, 21, 21)) for symbol in rest]
        wait_until(lambda: redis_client.mget([f"stock:{symbol}" for symbol in rest]) == newest)
        held.let_go.set()
        wait_until(lambda: redis_client.get(f"stock:{first[0]}") == encode(Update(first[0], 1.5, 21, 21)))
        wait_until(lambda: in_hand(running) == {})
        clock[0] += workers.LOOK_EVERY
        wait_until(lambda: any("goes on" in line["event"] for line in lines))
        assert running.end() is True

    said = [line for line in lines if "the same updates" in line["event"]]
    assert [(line["log_level"], line["worker"], line["updates"]) for line in said] == [("warning", 0, len(first))]
    assert workers_held() == 0
    revoked = [line["event"] for line in lines].index("partitions revoked")
    assert revoked > [line["event"] for line in lines].index("a worker that was held goes on")


def in_hand(running: Running) -> dict[int, int]:
    """How many updates each worker has that has any."""
    return running.processing._loads.held(-1.0, 0.0)


def workers_held() -> float | None:
    return REGISTRY.get_sample_value("stockwatch_processor_workers_held")


class Stuck(QuoteWriter):
    """A store that does not come back from its first write until it is let go."""

    def __init__(self, client: redis.Redis, ttl: timedelta) -> None:
        super().__init__(client, ttl)
        self.let_go = threading.Event()

    def write(self, batch: Batch) -> int:
        assert self.let_go.wait(60)
        return super().write(batch)


def test_a_revocation_that_comes_before_a_write_is_done_hands_it_to_the_next_owner(
    run: Run, produce: Produce, ledger: OffsetLedger, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(workers, "DRAIN", 0.1)
    store = Slow()
    produce(*feed(50))
    with capture_logs() as lines:
        first = run(workers=1, store=lambda: store)
        wait_until(lambda: store.asked)
        second = run()
        wait_until(lambda: any("unfinished writes" in line["event"] for line in lines), 30)
        mine = wait_until(lambda: set(first.processing._source._own), 30)
        wait_until(lambda: set(second.processing._source._own) == {0, 1, 2, 3} - mine, 30)
        own = [symbol for symbol in SYMBOLS if murmur2(symbol.encode(), 4) in mine]
        given = [symbol for symbol in SYMBOLS if symbol not in own]
        wait_until(lambda: ledger.count() == 50 * len(given))
        store.let_go.set()
        wait_until(lambda: store.written)
        monkeypatch.setattr(workers, "DRAIN", 3.0)
        assert first.end() is True

    # The one that had them first wrote what was still its own, and nothing of the rest.
    assert set(ledger.published) == set(given)
    assert store.written == set(own)
    assert second.end() is True


def test_bad_records_without_end_have_ten_lines_a_second_and_a_count(
    run: Run, produce: Produce, kafka: str, topic: str, group: str
):
    produce(*[(b"AAPL", b"poison")] * 3_000)
    with capture_logs() as lines:
        running = run()
        wait_until(lambda: sum(committed_lag(running)) == 0 and running.processing._letters.pending == 0, 30)
        assert running.end() is True

    aside = [line for line in lines if line["event"] == "record set aside"]
    more = [line["count"] for line in lines if line["event"].startswith("more records set aside")]
    assert 10 <= len(aside) <= 10 * (len(more) + 1)
    assert committed(kafka, topic, group) == 3_000
    assert len(list(read_dead_letters(kafka, f"{topic}.dlq"))) == 3_000


def committed_lag(running: Running) -> list[int]:
    """How far each partition is behind; one that is not known yet counts."""
    return [running.processing._source.lag.behind.get(partition, 1) for partition in range(4)]
