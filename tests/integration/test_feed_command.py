import json
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from feeds.kafka.embedded import EmbeddedCluster
from feeds.wire import decode
from stockwatch.local.redis_server import RedisServer
from tests.exchanges.kraken import KrakenExchange
from tests.exchanges.market import RandomMarket
from tests.support.feeder.process import (
    TopicReader,
    add_tickers,
    counts_up,
    in_ledger,
    published,
    set_source,
)
from tests.support.servers.commands import Command, migrate
from tests.support.waiting import wait_until

SYMBOLS = ("BTC/USD", "ETH/USD")
PRICES = (97000.5, 97001.0, 97002.0)
"""The prices of an exchange that are told from simulated ones, which have many values."""
RECONNECTED_SECONDS = 180.0
"""A limit for waits after cuts. The feeder pauses for up to MAX_RETRY_SECONDS after a series of cuts."""

Start = Callable[..., Command]


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database with tickers of Kraken."""
    file = tmp_path_factory.mktemp("database") / "db.sqlite3"
    migrate(os.environ | {"DATABASE_URL": f"sqlite:///{file}"})
    add_tickers(file, "kraken", *SYMBOLS)
    return file


@pytest.fixture
def database(migrated: Path, tmp_path: Path) -> Path:
    """A copy of that database."""
    return Path(shutil.copy(migrated, tmp_path / "db.sqlite3"))


@pytest.fixture
def brokers() -> Iterator[str]:
    """A new cluster, because these tests use the topic of the settings."""
    with EmbeddedCluster() as cluster:
        yield cluster.addresses


@pytest.fixture
def exchange() -> Iterator[KrakenExchange]:
    with KrakenExchange(SYMBOLS) as exchange:
        yield exchange


@pytest.fixture
def start(
    database: Path,
    brokers: str,
    exchange: KrakenExchange,
    redis_server: RedisServer,
    redis_client: redis.Redis,
    tmp_path: Path,
) -> Iterator[Start]:
    started: list[Command] = []

    def start(name: str, *options: str) -> Command:
        environment = os.environ | {
            "DATABASE_URL": f"sqlite:///{database}",
            "REDIS_ADDR": redis_server.address,
            "KAFKA_BROKERS": brokers,
            "KAFKA_SESSION_TIMEOUT": "3s",
            "LOGGER_FORMAT": "json",
            **exchange.settings(),
        }
        started.append(Command(name, environment, tmp_path / f"{len(started)}.log", *options))
        return started[-1]

    yield start
    for each in started:
        each.kill()


def test_trades_of_an_exchange_arrive_in_redis_and_the_topic_equals_its_ledger(
    start: Start, exchange: KrakenExchange, brokers: str, redis_client: redis.Redis
):
    exchange.trade("BTC/USD", "97000.5", "0.25")
    processor = start("runprocessor")
    feed = start("runfeed", "kraken")
    wait_until(lambda: redis_client.get("stock:BTC/USD"))
    exchange.quote("ETH/USD", "3400.1", "3400.2")
    for number in range(100):
        exchange.trade("ETH/USD", f"34{number:02}.25", "0.5")
    newest = exchange.trade("BTC/USD", "97001.5", "0.125")
    wait_until(lambda: decode(redis_client.get("stock:BTC/USD")).timestamp == newest.timestamp)
    wait_until(lambda: (quote := redis_client.get("stock:ETH/USD")) and decode(quote).price == 3499.25)

    assert feed.end() == 0
    assert processor.end() == 0
    updates = TopicReader(brokers).read()
    for symbol in SYMBOLS:
        assert published(updates[symbol]) == in_ledger(exchange.ledger, symbol)
        assert counts_up(updates[symbol])
    assert (updates["ETH/USD"][-1]["bid"], updates["ETH/USD"][-1]["ask"]) == (3400.1, 3400.2)
    assert not feed.logged("Traceback")


def test_the_past_of_a_ticker_is_fetched_beside_its_trades(
    start: Start, exchange: KrakenExchange, database: Path, redis_client: redis.Redis
):
    day_us = 86_400_000_000
    now = time.time_ns() // 1000
    for days in (2, 1):
        exchange.trade("BTC/USD", f"9{days}000", "0.25", time=now - days * day_us, sent=False)
    feed = start("runfeed", "kraken")

    def read_fetched(table: str) -> list[float]:
        with closing(sqlite3.connect(database)) as connection:
            return [row[0] for row in connection.execute(f'SELECT "close" FROM {table}')]

    wait_until(lambda: sorted(read_fetched("feeds_daybar")) == [91000.0, 92000.0], 120)
    assert feed.end() == 0
    assert not feed.logged("Traceback")


def wait_for_ledger(brokers: str, exchange: KrakenExchange) -> dict[str, list[dict]]:
    """Waits until the topic holds each trade of the ledger. Returns all updates."""
    reader = TopicReader(brokers)

    def read() -> dict[str, list[dict]] | None:
        updates = reader.read()
        counts = {symbol: len(updates.get(symbol, ())) for symbol in SYMBOLS}
        return updates if all(counts[each] >= len(exchange.ledger.trades(each)) for each in SYMBOLS) else None

    return wait_until(read, RECONNECTED_SECONDS, "the topic with all trades")


def wait_for_client(exchange: KrakenExchange) -> None:
    wait_until(lambda: exchange.clients, RECONNECTED_SECONDS, "a client of the exchange")


def assert_equal_to_ledger(updates: dict[str, list[dict]], exchange: KrakenExchange) -> None:
    for symbol in SYMBOLS:
        assert published(updates[symbol]) == in_ledger(exchange.ledger, symbol)
        assert counts_up(updates[symbol])


def test_cuts_outages_repeats_and_late_trades_lose_and_repeat_nothing(
    start: Start, exchange: KrakenExchange, brokers: str, redis_client: redis.Redis
):
    start("runprocessor")
    feed = start("runfeed", "kraken")
    exchange.trades([("BTC/USD", "97000.5", "0.25"), ("ETH/USD", "3400", "1")])
    wait_until(lambda: redis_client.get("stock:ETH/USD"))
    exchange.set_fault("repeats")
    exchange.set_fault("late_trades")
    for round_number in range(4):
        market = RandomMarket(exchange, round_number)
        market.trade(200)
        exchange.set_fault("outage")
        market.trade(300)
        exchange.clear_fault("outage")
        wait_for_client(exchange)
        market.trade(50)
        exchange.cut()
        wait_for_client(exchange)
    updates = wait_for_ledger(brokers, exchange)
    assert_equal_to_ledger(updates, exchange)
    for symbol in SYMBOLS:
        newest = max(update["timestamp"] for update in updates[symbol])
        wait_until(lambda newest=newest, symbol=symbol: decode(redis_client.get(f"stock:{symbol}")).timestamp == newest)
    assert not feed.logged("Traceback")


def test_a_killed_feeder_loses_and_repeats_nothing(start: Start, exchange: KrakenExchange, brokers: str):
    exchange.trades([("BTC/USD", "97000.5", "0.25"), ("ETH/USD", "3400", "1")])
    market = RandomMarket(exchange, 1)
    first = start("runfeed", "kraken")
    wait_until(lambda: first.logged("symbols opened") and len(TopicReader(brokers).read()) == len(SYMBOLS))
    first.end(signal.SIGKILL)
    for _ in range(4):
        connects = exchange.connects
        feed = start("runfeed", "kraken")
        wait_until(lambda connects=connects: exchange.connects > connects and exchange.clients)
        for _ in range(40):
            market.trade(20)
        feed.end(signal.SIGKILL)
        market.trade(700)
    start("runfeed", "kraken")
    assert_equal_to_ledger(wait_for_ledger(brokers, exchange), exchange)


def test_a_ticker_that_changes_its_source_goes_on_without_a_break(
    start: Start, exchange: KrakenExchange, brokers: str, database: Path, redis_client: redis.Redis
):
    start("runprocessor")
    exchange.trade("BTC/USD", "97000.5", "0.25")
    generator, feed = start("runkafkagen"), start("runfeed", "kraken")
    wait_until(lambda: generator.logged("no active tickers") and redis_client.get("stock:BTC/USD"))

    def quote() -> dict:
        return json.loads(redis_client.get("stock:BTC/USD"))

    for _ in range(2):
        set_source(database, "BTC/USD", "simulated")
        wait_until(lambda: quote()["price"] not in PRICES, 60, "a simulated price")
        set_source(database, "BTC/USD", "kraken")
        wait_until(lambda: redis_client.get("owner:market_ticks:BTC/USD") and exchange.trade("BTC/USD", "97001", "0.5"))
        wait_until(
            lambda: exchange.trade("BTC/USD", "97002", "0.5") and quote()["price"] in PRICES,
            60,
            "a price of the exchange",
        )
    assert feed.end() == 0
    assert generator.end() == 0
    assert counts_up(TopicReader(brokers).read()["BTC/USD"])


def test_a_minute_whose_trades_are_lost_is_incomplete_until_the_bar_of_the_exchange_replaces_it(
    start: Start, exchange: KrakenExchange, brokers: str, database: Path, redis_client: redis.Redis
):
    minute_us = 60_000_000
    begin = (time.time_ns() // 1000 // minute_us - 3) * minute_us
    prices = {0: "97000", 1: "99000", 2: "97500"}
    recorder, feed = start("runrecorder"), start("runfeed", "kraken")
    wait_until(lambda: feed.text.count("bars fetched") == len(SYMBOLS) and exchange.clients)
    exchange.trade("BTC/USD", prices[0], "0.25", time=begin)
    wait_until(lambda: len(TopicReader(brokers).read()) == 1)
    exchange.set_fault("country_refused")  # the open connection stays, and each request fails for good
    exchange.trade("BTC/USD", prices[1], "0.5", time=begin + 1_000_000, sent=False)
    exchange.trade("BTC/USD", prices[2], "0.25", time=begin + 2_000_000)
    wait_until(lambda: feed.logged("missed trades cannot be fetched"))
    exchange.trade("BTC/USD", prices[2], "0.25", time=begin + 2 * minute_us)

    def next_record_names_span() -> bool:
        exchange.trade("BTC/USD", prices[2], "0.25", time=begin + 2 * minute_us)
        return any("missed" in update["headers"] for update in TopicReader(brokers).read()["BTC/USD"])

    wait_until(next_record_names_span)
    assert feed.end() == 0
    wait_until(lambda: read_rows(database, "SELECT first, last FROM feeds_missedspan"), 120, "a missed span")
    assert recorder.end() == 0
    assert read_rows(database, "SELECT first, last FROM feeds_missedspan") == [(begin, begin + 2_000_000)]
    minute = f"SELECT origin, high, volume FROM feeds_minutebar WHERE id & 4294967295 = {begin // minute_us}"
    assert read_rows(database, minute) == [(0, 97500.0, 50_000_000)]

    exchange.clear_fault("country_refused")
    backfill = start("backfill", "BTC/USD", "--days", "1")
    assert backfill.process.wait(60) == 0
    assert read_rows(database, minute) == [(1, 99000.0, 100_000_000)]


def read_rows(database: Path, query: str) -> list[tuple]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def test_a_second_feeder_of_a_source_ends_with_one_line(start: Start, exchange: KrakenExchange):
    first = start("runfeed", "kraken")
    wait_until(lambda: first.logged("feeder ready"))
    second = start("runfeed", "kraken")

    assert second.process.wait(60) == 1
    holder = f"process {first.process.pid}"
    assert second.logged(f"another feeder feeds market_ticks from kraken: {holder}")
    assert first.end() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "no source: name one"),
        (["other"], "There are kraken, coinbase, binance, alpaca"),
        (["alpaca"], "set ALPACA_KEY_ID and ALPACA_SECRET_KEY"),
        (["replay"], "a replay needs one file"),
        (["replay", "missing.csv"], "missing.csv cannot be read: No such file or directory"),
    ],
)
def test_a_wrong_argument_ends_with_one_line(start: Start, options: list[str], message: str):
    feed = start("runfeed", *options)

    assert feed.process.wait(60) == 1
    assert message in feed.text
    assert not feed.logged("Traceback")


def test_a_replay_sends_its_file_and_ends(start: Start, brokers: str, database: Path, tmp_path: Path):
    for symbol in SYMBOLS:
        set_source(database, symbol, "replay")
    file = tmp_path / "trades.csv"
    rows = [f"{symbol},{1_700_000_000 + second},{100 + second},0.5" for second in range(50) for symbol in SYMBOLS]
    file.write_text("\n".join(["symbol,time,price,size", *rows]))
    feed = start("runfeed", "replay", str(file), "--speed", "100", "--from", "1700000010")

    assert feed.process.wait(60) == 0
    updates = TopicReader(brokers).read()
    for symbol in SYMBOLS:
        assert [update["price"] for update in updates[symbol]] == [100.0 + second for second in range(10, 50)]
        assert counts_up(updates[symbol])
    assert feed.logged("replay ended")


def test_a_source_that_cannot_be_reached_is_said_once(
    start: Start, exchange: KrakenExchange, redis_client: redis.Redis
):
    exchange.set_fault("refuse_connects")
    feed = start("runfeed", "kraken")
    wait_until(lambda: exchange.connects >= 2)
    wait_until(lambda: b"reconnecting" in (redis_client.get("feed:kraken") or b""))

    assert feed.end() == 0
    assert feed.text.count("Kraken unavailable") == 1
    assert redis_client.get("feed:kraken") is None


def test_the_check_of_a_source_reports_its_state(start: Start, exchange: KrakenExchange):
    check = start("feed", "check", "kraken")

    assert check.process.wait(60) == 0
    assert "Kraken: connected, 2 of 2 tickers subscribed" in check.text
