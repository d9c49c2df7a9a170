"""Measures what the keys size, bid and ask cost the processor and the gateway: `make bench-keys`.

Compares updates that have size, bid and ask with updates of the same length that have only the four required keys.
The two cases alternate, so that other load on the machine affects both cases. Prints the updates per CPU second of each
run, and the ratio of the medians.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from statistics import median

from feeds.kafka.producer import UpdateProducer
from feeds.kafka.topic import Topic
from feeds.wire import Update
from stockwatch.local.redis_server import RedisServer
from tests.bench import gateway
from tests.bench.pipeline import MAX_EMBEDDED_RECORDS, Bench, choose_brokers
from tests.bench.publisher import PRICE, encode

KINDS = ("padded", "trades")
SYMBOLS = 100
SIZE = 12.5
MAX_UNACKNOWLEDGED = 50_000


def fill(brokers: str, keys: str, updates: int) -> str:
    """Fills a new topic with updates of 100 symbols. Returns the name of the topic."""
    topic = f"bench-keys-{keys}-{time.time_ns()}"
    Topic(brokers, topic, timeout=30.0).ensure(timedelta(hours=1), time.sleep)
    producer = UpdateProducer(brokers, topic, {"linger.ms": 50})
    base = time.time_ns() // 1000 - updates
    for number in range(updates):
        update = Update(f"T{number % SYMBOLS}", PRICE, base + number, number // SYMBOLS + 1)
        producer.send(update.symbol, encode(update, keys, SIZE))
        while producer.unacknowledged > MAX_UNACKNOWLEDGED:
            producer.poll(0.01)
    assert producer.close(60) == 0, "updates were lost"
    return topic


def compare(part: str, runs: int, measure: Callable[[str], float]) -> None:
    """Measures both cases alternately. Prints the updates per CPU second of each run, and the ratio of the medians."""
    figures: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(runs):
        for kind in KINDS:
            figures[kind].append(measure(kind))
    for kind, values in figures.items():
        print(f"{part}, {kind}: {', '.join(f'{value:,.0f}' for value in values)} updates per CPU second")
    padded, trades = (median(figures[kind]) for kind in KINDS)
    print(f"{part}: {trades / padded:.2f} of the padded updates", flush=True)


def compare_processor(arguments: argparse.Namespace, server: RedisServer, folder: Path, stack: ExitStack) -> None:
    addresses, kind = stack.enter_context(choose_brokers(arguments))
    bench = stack.enter_context(closing(Bench(addresses, kind.startswith("embedded"), server, folder)))
    updates = min(arguments.updates, MAX_EMBEDDED_RECORDS) if bench.embedded else arguments.updates
    topics = {keys: fill(addresses, keys, updates) for keys in KINDS}

    def measure(keys: str) -> float:
        bench.client.flushall()
        variables = bench.variables(topics[keys], PROCESSOR_NUM_WORKERS="1")
        return float(bench.process(bench.run("runprocessor", variables), updates)["updates_per_cpu_s"])

    print(f"On {kind}, {updates:,} updates.")
    compare("processor", arguments.runs, measure)


def compare_gateway(runs: int, folder: Path) -> None:
    wsload = gateway.build("wsload")
    cases = {keys: next(case for case in gateway.CASES if case.keys == keys) for keys in KINDS}
    compare(
        "gateway",
        runs,
        lambda keys: float(gateway.measure_gateway(cases[keys], wsload, folder)["updates_per_cpu_s"]),
    )


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.feed.extra_keys", description=__doc__)
    parser.add_argument("--brokers", default="", help="addresses of running brokers, host:port, separated by commas")
    parser.add_argument("--embedded", action="store_true", help="embedded brokers even if there is Java")
    parser.add_argument("--updates", type=int, default=1_000_000, help="updates in each topic for the processor")
    parser.add_argument("--runs", type=int, default=5, help="runs of each kind")
    parser.add_argument("--processor-only", action="store_true", help="does not measure the gateway")
    arguments = parser.parse_args(argv)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if not arguments.processor_only:
            compare_gateway(arguments.runs, folder)
        compare_processor(arguments, stack.enter_context(RedisServer()), folder, stack)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
