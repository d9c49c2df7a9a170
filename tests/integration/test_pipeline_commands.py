import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest
import redis

from feeds.kafka.embedded import EmbeddedCluster
from feeds.kafka.last_updates import LastUpdates
from feeds.wire import decode
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.commands import ROOT, Command
from tests.support.waiting import wait_until

Start = Callable[..., Command]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a migrated database without rows."""
    url = f"sqlite:///{tmp_path_factory.mktemp('database') / 'db.sqlite3'}"
    migrate = [sys.executable, str(ROOT / "manage.py"), "migrate", "-v0"]
    subprocess.run(migrate, env=os.environ | {"DATABASE_URL": url}, check=True, timeout=60)
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
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()


@pytest.fixture
def brokers() -> Iterator[str]:
    """A cluster of its own: these tests use the topic of the settings."""
    with EmbeddedCluster() as cluster:
        yield cluster.addresses


def test_prices_flow_through_real_processes_and_each_part_ends_well(
    start: Start, brokers: str, redis_client: redis.Redis
):
    processor = start("runprocessor", brokers)
    generator = start("runkafkagen", brokers)
    wait_until(lambda: redis_client.get("stock:AAPL"))
    assert redis_client.ttl("stock:AAPL") > 3600

    second = start("runkafkagen", brokers)
    assert second.process.wait(60) == 1
    assert second.said(f"another generator feeds market_ticks: process {generator.process.pid}")

    assert generator.end() == 0
    assert generator.said("not delivered 0")
    newest = LastUpdates(brokers, "market_ticks", monotonic).read(["AAPL"])["AAPL"]
    wait_until(lambda: decode(redis_client.get("stock:AAPL")) == newest)

    generator = start("runkafkagen", brokers)
    again = wait_until(lambda: (found := decode(redis_client.get("stock:AAPL"))).order > newest.order and found)
    assert again.price == pytest.approx(newest.price, rel=0.01)
    assert generator.end(signal.SIGINT) == 0
    count = int(generator.text.split("delivered ")[-2].split(",")[0])
    last = LastUpdates(brokers, "market_ticks", monotonic).read(["AAPL"])["AAPL"]
    assert last.seq_id == newest.seq_id + count // 4

    wait_until(lambda: decode(redis_client.get("stock:AAPL")) == last)
    assert processor.end() == 0
    for command in (processor, generator, second):
        assert not command.said("Traceback")


def test_a_killed_generator_is_followed_at_once_by_the_next(start: Start, brokers: str, redis_client: redis.Redis):
    first = start("runkafkagen", brokers)
    wait_until(lambda: first.said("generator ready"))
    first.end(signal.SIGKILL)
    second = start("runkafkagen", brokers)
    wait_until(lambda: second.said("generator ready"), seconds=60)
    assert second.end() == 0


def test_without_broker_table_or_redis_there_is_one_clear_line_each_and_a_stop_is_obeyed(start: Start, tmp_path: Path):
    nowhere = f"127.0.0.1:{free_port()}"
    commands = [
        (start("runkafkagen", nowhere), "Kafka is away"),
        (start("runprocessor", nowhere), "Kafka is away"),
        (start("runkafkagen", nowhere, DATABASE_URL=f"sqlite:///{tmp_path / 'empty'}", REDIS_ADDR=nowhere), "migrate"),
    ]
    for command, words in commands:
        wait_until(lambda command=command, words=words: command.said(words))
    for command, words in commands:
        assert command.end() == 0
        assert command.text.count(words) == 1
        assert not command.said("Traceback")
    assert commands[2][0].text.count("feeding without a lease") == 1


def test_what_can_never_work_ends_with_one_line(start: Start, brokers: str, database: str):
    with RedisServer() as taken:
        port = str(taken.port)
        metrics = [
            start("runkafkagen", brokers, GENERATOR_METRICS_PORT=port),
            start("runprocessor", brokers, PROCESSOR_METRICS_PORT=port),
        ]
        for command in metrics:
            assert command.process.wait(60) == 1
            assert f"_METRICS_PORT={port} cannot be used" in command.text
            assert len(command.text.splitlines()) == 1


def test_metrics_are_served_on_their_port(start: Start, brokers: str):
    port = free_port()
    generator = start("runkafkagen", brokers, GENERATOR_METRICS_PORT=str(port))
    wait_until(lambda: generator.said("generator ready"))

    def read() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            return answer.read().decode()

    wait_until(lambda: "stockwatch_generator_active_tickers 4.0" in read())
    assert "stockwatch_generator_delivered_total" in read()
    assert generator.end() == 0


def test_updates_that_no_broker_took_make_the_generator_fail(start: Start):
    cluster = EmbeddedCluster(brokers=1)
    cluster.start()
    generator = start("runkafkagen", cluster.addresses)
    wait_until(lambda: generator.said("generator ready"))
    cluster.close()
    wait_until(lambda: generator.said("Kafka is away"))

    assert generator.end() == 1
    assert not generator.said("not delivered 0")
    assert not generator.said("Traceback")
