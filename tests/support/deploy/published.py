"""Compares the updates in Kafka with those that the processor has published."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from tests.support.deploy.compose import HEALTHY_SECONDS, Stack, compose_binary
from tests.support.waiting import wait_until

READ_TOPIC = """
from confluent_kafka import Consumer, TopicPartition
consumer = Consumer({"bootstrap.servers": "kafka-1:19092", "group.id": "ledger", "enable.auto.commit": False})
topic = "market_ticks"
ends = {n: consumer.get_watermark_offsets(TopicPartition(topic, n), timeout=60)[1] for n in range(4)}
consumer.assign([TopicPartition(topic, n, 0) for n in ends])
left = {n for n, end in ends.items() if end}
while left:
    for message in consumer.consume(500, 60):
        print(message.value().decode())
        if message.offset() + 1 >= ends[message.partition()]:
            left.discard(message.partition())
"""
SYMBOL = re.compile(r'"symbol":"([^"]+)"')
NUMBER = re.compile(r'"seq_id":(\d+)[,}]')  # the last line may be incomplete


def read_updates(text: str) -> Counter[tuple[str, int]]:
    """Returns how often each update, as (symbol, seq_id), occurs in lines of JSON."""
    found = [(SYMBOL.search(line), NUMBER.search(line)) for line in text.splitlines()]
    return Counter((symbol[1], int(number[1])) for symbol, number in found if symbol and number)


class PublishedUpdates:
    """Writes what the processor publishes to a file while it is used in a `with` statement."""

    def __init__(self, stack: Stack, file: Path) -> None:
        self._stack = stack
        self._file = file

    def __enter__(self) -> Self:
        listen = ("exec", "--no-TTY", "valkey", "valkey-cli", "psubscribe", "prices.*")
        command = [str(compose_binary()), "--project-name", self._stack.project, *listen]
        with self._file.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=self._stack.folder,
                env=self._stack.engine.environment,
                stdin=subprocess.PIPE,
                stdout=output,
            )
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def read(self) -> Counter[tuple[str, int]]:
        return read_updates(self._file.read_text())

    def wait_for(self, updates: Iterable[tuple[str, int]]) -> Counter[tuple[str, int]]:
        """Waits until the newest of the updates of each symbol has been published. Returns what has been published.

        The updates of a symbol are published in their order, so those before it have been published too, or are lost.
        """
        newest = set(dict(sorted(updates)).items())
        wait_until(lambda: newest <= self.read().keys(), HEALTHY_SECONDS, "the newest are published", interval=0.5)
        return self.read()


def read_topic(stack: Stack) -> Counter[tuple[str, int]]:
    """Returns how often each update is in the topic."""
    return read_updates(stack.run("recorder", "python", "-c", READ_TOPIC))
