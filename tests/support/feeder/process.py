"""Runs `runfeed` as a process, and compares a topic with the ledger of a fake exchange."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from tests.exchanges.ledger import Ledger

TOPIC = "market_ticks"
Row = tuple[int, float, float]
"""A trade: timestamp in unix microseconds, price and size."""


def add_tickers(file: Path, source: str, *symbols: str) -> None:
    """Adds active tickers of a source to a database."""
    columns = "symbol, name, base_price, volatility, decimals, active, source, native, currency"
    rows = [(symbol, "", 100.0, 1.0, 2, True, source, "", "") for symbol in symbols]
    with closing(sqlite3.connect(file)) as database, database:
        database.executemany(f"INSERT INTO feeds_ticker ({columns}) VALUES ({', '.join('?' * 9)})", rows)


def set_source(file: Path, symbol: str, source: str) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE feeds_ticker SET source = ? WHERE symbol = ?", (source, symbol))


class TopicReader:
    """Reads all records of a topic. `read` returns a dict from symbol to updates, in the order of the topic."""

    def __init__(self, brokers: str, topic: str = TOPIC) -> None:
        self._options = {"bootstrap.servers": brokers, "group.id": "reader", "enable.partition.eof": True}
        self._topic = topic

    def read(self) -> dict[str, list[dict]]:
        updates: dict[str, list[dict]] = {}
        with Consumer(self._options | {"fetch.wait.max.ms": 5, "log_level": 2}) as consumer:
            partitions = consumer.list_topics(self._topic, timeout=60).topics[self._topic].partitions
            consumer.assign([TopicPartition(self._topic, partition, 0) for partition in partitions])
            left = set(partitions)
            while left:
                for record in consumer.consume(5000, 0.1):
                    if record.error() is not None:
                        left.discard(record.partition())
                        continue
                    headers = {name: value.decode() for name, value in record.headers() or ()}
                    update = json.loads(record.value()) | {"headers": headers}
                    updates.setdefault(update["symbol"], []).append(update)
        return updates


def published(updates: list[dict]) -> list[Row]:
    """Returns the trades of these updates, sorted by the exchange's ids of the trades."""
    ordered = sorted(updates, key=lambda update: int(update["headers"]["id"]))
    return [(update["timestamp"], update["price"], update["size"]) for update in ordered]


def in_ledger(ledger: Ledger, symbol: str, first: int = 0) -> list[Row]:
    """Returns the trades of a symbol with a sequence number of at least `first`."""
    trades = [trade for trade in ledger.trades(symbol) if trade.sequence >= first]
    return [(trade.timestamp, float(trade.price), float(trade.size)) for trade in trades]


def counts_up(updates: list[dict]) -> bool:
    """Returns whether the seq_id of each update is the seq_id of the previous update plus one."""
    numbers = [update["seq_id"] for update in updates]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))
