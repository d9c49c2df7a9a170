"""Writes the records of a topic to `topic.csv`. Checks the order of published prices.

    python -m tests.bench.feed.observer FOLDER BROKERS TOPIC REDIS_PORT [CHANNEL …]

This script imports nothing of the project, so that a mistake of the project cannot affect the result. Writes figures to
`observed.json` each second. Ends at SIGTERM.
"""

import csv
import json
import signal
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import redis
from confluent_kafka import Consumer, KafkaException, TopicPartition

COLUMNS = ("symbol", "id", "seq_id", "timestamp", "price", "size", "produced_ms")


class Channels:
    """Checks messages of Redis channels, in a thread. `delays` are the ages of updates on arrival, in ms."""

    def __init__(self, port: int, patterns: list[str]) -> None:
        self.messages = self.older = 0
        self.delays: list[float] = []
        self._newest: dict[str, tuple[int, int]] = {}
        self._client = redis.Redis(port=port, protocol=2)
        self._patterns = patterns
        if patterns:
            threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        pubsub = self._client.pubsub()
        pubsub.psubscribe(*self._patterns)
        for message in pubsub.listen():
            if message["type"] == "pmessage":
                self._check(json.loads(message["data"]))

    def _check(self, update: dict[str, Any]) -> None:
        self.messages += 1
        self.delays.append(time.time() * 1e3 - update["timestamp"] / 1e3)
        order = update["timestamp"], update["seq_id"]
        if order <= self._newest.get(update["symbol"], (0, 0)):
            self.older += 1
        self._newest[update["symbol"]] = order


class Topic:
    """Writes all records of the topic to a file. `ids` maps each symbol to the ids of the trades."""

    def __init__(self, brokers: str, topic: str, file: Path) -> None:
        self._consumer = Consumer({"bootstrap.servers": brokers, "group.id": "observer", "log_level": 2})
        self._topic = topic
        self._output = file.open("w", newline="")
        self._writer = csv.writer(self._output)
        self._writer.writerow(COLUMNS)
        self._assigned: set[int] = set()
        self.records = 0
        self.ids: dict[str, set[str]] = defaultdict(set)

    @property
    def trades(self) -> int:
        return sum(map(len, self.ids.values()))

    def read(self) -> None:
        if not self._assigned:
            self._assign()
        for record in self._consumer.consume(2000, 0.2):
            if record.error() is None:
                self._write(record)
        self._output.flush()

    def _assign(self) -> None:
        """Waits until the topic exists, then starts to read at the beginning of all partitions."""
        try:
            found = self._consumer.list_topics(timeout=5).topics.get(self._topic)
        except KafkaException:
            return
        if found is not None and found.partitions:
            self._assigned = set(found.partitions)
            self._consumer.assign([TopicPartition(self._topic, number, 0) for number in self._assigned])

    def _write(self, record: Any) -> None:
        update, headers = json.loads(record.value()), dict(record.headers() or ())
        trade_id = headers.get("id", b"").decode()
        values = [update.get(name, 0) for name in ("seq_id", "timestamp", "price", "size")]
        self._writer.writerow((update["symbol"], trade_id, *values, record.timestamp()[1]))
        self.records += 1
        self.ids[update["symbol"]].add(trade_id)


def write_figures(file: Path, topic: Topic, channels: Channels) -> None:
    figures = {
        "records": topic.records,
        "trades": topic.trades,
        "messages": channels.messages,
        "older": channels.older,
    }
    new = file.with_suffix(".new")
    new.write_text(json.dumps(figures))
    new.replace(file)


def main(folder: Path, brokers: str, name: str, port: int, patterns: list[str]) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    topic, channels = Topic(brokers, name, folder / "topic.csv"), Channels(port, patterns)
    written = 0.0
    while not stop.is_set():
        topic.read()
        if time.monotonic() - written >= 1:
            write_figures(folder / "observed.json", topic, channels)
            written = time.monotonic()
    write_figures(folder / "observed.json", topic, channels)
    (folder / "delays.json").write_text(json.dumps(channels.delays))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5:])
