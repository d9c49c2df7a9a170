import os
import signal
import sqlite3
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest
import redis

from feeds.kafka.embedded import EmbeddedCluster
from feeds.kafka.last_updates import LastUpdates
from feeds.kafka.producer import UpdateProducer
from feeds.store.connection import connect
from feeds.store.holders import Holder
from feeds.store.ownership import Ownership
from feeds.wire import Update, decode, encode
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.servers.commands import Command, migrate
from tests.support.waiting import wait_until

Start = Callable[..., Command]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The DATABASE_URL of a migrated database without rows."""
    url = f"sqlite:///{tmp_path_factory.mktemp('database') / 'db.sqlite3'}"
    migrate(os.environ | {"DATABASE_URL": url})
    return url


@pytest.fixture
def start(database: str, redis_server: RedisServer, redis_client: redis.Redis, tmp_path: Path) -> Iterator[Start]:
    started: list[Command] = []

    def start(name: str, brokers: str, **variables: str) -> Command:
        environment = os.environ | {
            "DATABASE_URL": database,
            "REDIS_ADDR": redis_server.address,
            "KAFKA_BROKERS": brokers,
            "KAFKA_SESSION_TIMEOUT": "3s",
            "GENERATOR_INTERVAL": "20ms",
            "LOGGER_FORMAT": "json",
        }
        started.append(Command(name, environment | variables, tmp_path / f"{len(started)}.log"))
        return started[-1]

    yield start
    for each in started:
        each.kill()


@pytest.fixture
def brokers() -> Iterator[str]:
    """A new cluster, because these tests use the topic of the settings."""
    with EmbeddedCluster() as cluster:
        yield cluster.addresses


def totals_of(generator: Command) -> dict[str, int]:
    """Returns the log line with which a generator ends."""
    return next(line for line in generator.lines if line["event"] == "generator stopped")


def test_prices_flow_through_real_processes_and_each_exits_with_0(
    start: Start, brokers: str, redis_client: redis.Redis
):
    processor = start("runprocessor", brokers)
    generator = start("runkafkagen", brokers)
    wait_until(lambda: redis_client.get("stock:AAPL"))
    assert redis_client.ttl("stock:AAPL") > 3600

    second = start("runkafkagen", brokers)
    assert second.process.wait(60) == 1
    assert second.logged(f"another generator feeds market_ticks: process {generator.process.pid}")

    assert generator.end() == 0
    assert totals_of(generator)["undelivered"] == 0
    newest = LastUpdates(brokers, "market_ticks", monotonic).read(["AAPL"])["AAPL"]
    wait_until(lambda: decode(redis_client.get("stock:AAPL")) == newest)

    generator = start("runkafkagen", brokers)
    next_update = wait_until(lambda: (found := decode(redis_client.get("stock:AAPL"))).order > newest.order and found)
    assert next_update.price == pytest.approx(newest.price, rel=0.01)
    assert generator.end(signal.SIGINT) == 0
    count = totals_of(generator)["delivered"]
    last = LastUpdates(brokers, "market_ticks", monotonic).read(["AAPL"])["AAPL"]
    assert last.seq_id == newest.seq_id + count // 4

    wait_until(lambda: decode(redis_client.get("stock:AAPL")) == last)
    # Nothing feeds the ticker any more: only the end of the topic has its price.
    redis_client.flushdb()
    assert decode(wait_until(lambda: redis_client.get("stock:AAPL"), 60, "the lost price")).seq_id <= last.seq_id
    wait_until(lambda: processor.logged("restored from Kafka"), 60, "a log line")
    assert processor.end() == 0
    for command in (processor, generator, second):
        assert not command.logged("Traceback")


def test_a_killed_generator_is_replaced_at_once_by_the_next(start: Start, brokers: str, redis_client: redis.Redis):
    first = start("runkafkagen", brokers)
    wait_until(lambda: first.logged("generator ready"))
    first.end(signal.SIGKILL)
    second = start("runkafkagen", brokers)
    wait_until(lambda: second.logged("generator ready"), seconds=60)
    assert second.end() == 0


def set_source(database: str, symbol: str, source: str) -> None:
    """Changes the source of a ticker, as the admin does."""
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection:
        connection.execute("UPDATE feeds_ticker SET source = ? WHERE symbol = ?", (source, symbol))
        connection.commit()


def test_a_ticker_whose_source_changes_goes_to_another_process_and_back(
    start: Start, brokers: str, database: str, redis_server: RedisServer
):
    ours = Ownership(connect({"host": redis_server.host, "port": redis_server.port}), "market_ticks", Holder())
    topic = LastUpdates(brokers, "market_ticks", monotonic)
    generator = start("runkafkagen", brokers)
    wait_until(lambda: topic.read(["AAPL"]))
    assert ours.claim(["AAPL"]) == set()

    set_source(database, "AAPL", "kraken")
    wait_until(lambda: ours.claim(["AAPL"]))
    last = topic.read(["AAPL", "GOOG"])
    wait_until(lambda: topic.read(["GOOG"])["GOOG"].seq_id > last["GOOG"].seq_id + 20)
    assert topic.read(["AAPL"])["AAPL"] == last["AAPL"]

    real = Update("AAPL", 163.5, last["AAPL"].timestamp + 1, last["AAPL"].seq_id + 1)
    producer = UpdateProducer(brokers, "market_ticks")
    producer.send("AAPL", encode(real))
    assert producer.close(60) == 0
    ours.release(["AAPL"])
    set_source(database, "AAPL", "simulated")
    found = wait_until(lambda: (newest := topic.read(["AAPL"])["AAPL"]).seq_id > real.seq_id and newest)
    assert found.price == pytest.approx(163.5, rel=0.01)

    generator.end(signal.SIGKILL)
    assert ours.claim(["AAPL"]) == {"AAPL"}
    ours.release(["AAPL"])
    ours.close()


def test_each_missing_service_has_one_log_line_and_a_stop_works(start: Start, tmp_path: Path):
    unreachable = f"127.0.0.1:{free_port()}"
    commands = [
        (start("runkafkagen", unreachable), "Kafka unavailable"),
        (start("runprocessor", unreachable), "Kafka unavailable"),
        (
            start("runkafkagen", unreachable, DATABASE_URL=f"sqlite:///{tmp_path / 'empty'}", KAFKA_TOPIC="other"),
            "migrate",
        ),
        (start("runkafkagen", unreachable, REDIS_ADDR=unreachable), "waiting for the lease"),
    ]
    for command, text in commands:
        wait_until(lambda command=command, text=text: command.logged(text))
    for command, text in commands:
        assert command.end() == 0
        assert command.text.count(text) == 1
        assert not command.logged("Traceback")


def test_a_metrics_port_in_use_exits_with_one_line(start: Start, brokers: str, database: str):
    with RedisServer() as taken:
        port = str(taken.port)
        commands = [
            start("runkafkagen", brokers, GENERATOR_METRICS_PORT=port),
            start("runprocessor", brokers, PROCESSOR_METRICS_PORT=port),
        ]
        for command in commands:
            assert command.process.wait(60) == 1
            assert f"_METRICS_PORT={port} cannot be used" in command.text
            assert len(command.text.splitlines()) == 1


def test_metrics_are_served_on_their_port(start: Start, brokers: str):
    port = free_port()
    generator = start("runkafkagen", brokers, GENERATOR_METRICS_PORT=str(port))
    wait_until(lambda: generator.logged("generator ready"))

    def read() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as response:
            return response.read().decode()

    wait_until(lambda: "stockwatch_generator_active_tickers 4.0" in read())
    assert "stockwatch_generator_delivered_total" in read()
    assert generator.end() == 0


def test_undelivered_updates_make_the_generator_exit_with_1(start: Start):
    cluster = EmbeddedCluster(brokers=1)
    cluster.start()
    generator = start("runkafkagen", cluster.addresses)
    wait_until(lambda: generator.logged("generator ready"))
    cluster.close()
    wait_until(lambda: generator.logged("Kafka unavailable"))

    assert generator.end() == 1
    assert totals_of(generator)["undelivered"] > 0
    assert not generator.logged("Traceback")
