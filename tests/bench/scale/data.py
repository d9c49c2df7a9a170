"""Runs a cluster of three masters and publishes prices: `python -m tests.bench.scale.data ADDRESS SYMBOLS GROUPS`.

The symbols S0, S1, … have an update per second each, through the writer of the processor. Symbols whose numbers are the
same modulo GROUPS are published together, and the groups one after the other. Prints the settings of the cluster's
clients as JSON. Then answers lines of standard input:

- `stop`: publishes nothing more; the answer has the number of updates and of rounds that were late by over 100 ms.
- `quotes`: the answer maps each symbol to the `seq_id` of the quote in Redis.
- `commands`: the answer has the number of commands that each master has processed.
"""

import json
import random
import select
import sys
import time
from datetime import timedelta

from feeds.store.batch import Batch
from feeds.store.cluster.quote_writer import open_quote_writer
from feeds.store.cluster.slots import tag_prefix
from feeds.store.connection import connect
from feeds.wire import Update, decode, encode, stock_key
from tests.support.servers.redis_cluster import RedisCluster

MASTERS = 3
STEP = 0.0002
LATE_SECONDS = 0.1


class Publisher:
    """Publishes prices that walk at random."""

    def __init__(self, cluster: RedisCluster, symbols: int, groups: int) -> None:
        self._client = connect(cluster.address)
        self._writer = open_quote_writer(connect(cluster.address), timedelta(hours=1))
        self._groups = groups
        self._random = random.Random(7)
        self._prices = {number: self._random.uniform(5, 900) for number in range(symbols)}
        self._number = time.time_ns() // 1_000_000
        self._round, self._started, self.late = 0, time.monotonic(), 0
        self.updates = 0

    @property
    def wait(self) -> float:
        """Seconds until the next round is due."""
        return max(0.0, self._started + self._round / self._groups - time.monotonic())

    def publish(self) -> None:
        """Publishes an update of each symbol of the next group."""
        self.late += time.monotonic() > self._started + self._round / self._groups + LATE_SECONDS
        group, self._number, now = self._round % self._groups, self._number + 1, time.time_ns() // 1000
        self._round += 1
        updates = []
        for number in range(group, len(self._prices), self._groups):
            self._prices[number] *= 1 + self._random.gauss(0, STEP)
            updates.append(Update(f"S{number}", round(self._prices[number], 2), now, self._number))
        self._writer.write(Batch([[(update, encode(update)) for update in updates]]))
        self.updates += len(updates)

    def quotes(self) -> dict[str, int]:
        symbols = [f"S{number}" for number in self._prices]
        values = {symbol: self._client.get(tag_prefix(symbol) + stock_key(symbol)) for symbol in symbols}
        return {symbol: decode(value).seq_id for symbol, value in values.items() if isinstance(value, bytes)}


def main(address: str, symbols: int, groups: int) -> None:
    with RedisCluster(MASTERS, 0, address) as cluster:
        publisher = Publisher(cluster, symbols, groups)
        print(json.dumps(cluster.variables), flush=True)
        publishes = True
        while True:
            ready, _, _ = select.select([sys.stdin], [], [], publisher.wait if publishes else None)
            if not ready:
                publisher.publish()
                continue
            command = sys.stdin.readline().strip()
            if command == "stop":
                publishes = False
                print(json.dumps({"updates": publisher.updates, "late": publisher.late}), flush=True)
            elif command == "quotes":
                print(json.dumps(publisher.quotes()), flush=True)
            elif command == "commands":
                print(json.dumps([node.commands for node in cluster.masters]), flush=True)
            else:
                return


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
