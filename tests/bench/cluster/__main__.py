"""Compares the CPU time of a Redis Cluster and of one Redis server: `python -m tests.bench.cluster`.

The same updates are written to one server and to a cluster of three masters, first without and then with replicas.
Prints the CPU time of the servers and of the writer for each update. Also prints how many commands the busiest master
ran, relative to the mean of the masters.
"""

import argparse
import time
from contextlib import ExitStack
from datetime import timedelta

from feeds.store.batch import Batch
from feeds.store.cluster.quote_writer import open_quote_writer
from feeds.store.cluster.slots import SLOT_OF_TAG, tag_number
from feeds.store.connection import connect
from feeds.wire import Update, encode
from stockwatch.local.redis_server import RedisServer
from tests.support.servers.redis_cluster import RedisCluster
from tests.support.waiting import wait_until

NODES = 3


def cpu_seconds(servers: list[RedisServer]) -> float:
    """Returns the CPU time that the processes of these servers have used."""
    total = 0.0
    for server in servers:
        with connect(address_of(server)) as client:
            info = client.info("cpu")
        total += info["used_cpu_user"] + info["used_cpu_sys"]
    return total


def make_batches(symbols: int, size: int, updates: int) -> list[list[Batch]]:
    """Returns rounds of batches. Each round has one update of each symbol.

    As in the processor, a batch has only symbols of one node. A batch has at most `size` updates.
    """
    names = [f"SYM{number:04d}" for number in range(symbols)]
    nodes = [SLOT_OF_TAG[tag_number(name)] * NODES // 16_384 for name in names]
    start, rounds = time.time_ns() // 1000, []
    for number in range(updates // symbols):
        parts: list[list[tuple[Update, bytes]]] = [[] for _ in range(NODES)]
        for name, node in zip(names, nodes, strict=True):
            update = Update(name, 150.25, start + number, number)
            parts[node].append((update, encode(update)))
        rounds.append([Batch([part[at : at + size]]) for part in parts for at in range(0, len(part), size)])
    return rounds


def measure(
    address: dict[str, object], servers: list[RedisServer], rounds: list[list[Batch]]
) -> tuple[float, float, list[int]]:
    """Writes all batches. The first round is not measured.

    Returns three values: the CPU seconds of the servers, the CPU seconds of this process, and the number of commands
    of each server.
    """
    writer = open_quote_writer(connect(address), timedelta(hours=1))
    for batch in rounds[0]:
        writer.write(batch)
    commands = [count_commands(server) for server in servers]
    before, own = cpu_seconds(servers), time.process_time()
    for batches in rounds[1:]:
        for batch in batches:
            assert writer.write(batch) == batch.size
    own, used = time.process_time() - own, cpu_seconds(servers) - before
    writer.close()
    return used, own, [count_commands(server) - count for server, count in zip(servers, commands, strict=True)]


def count_commands(server: RedisServer) -> int:
    with connect(address_of(server)) as client:
        return int(client.info("stats")["total_commands_processed"])


def address_of(server: RedisServer) -> dict[str, object]:
    return {"host": server.host, "port": server.port}


def replicate(primary: RedisServer, replica: RedisServer) -> None:
    """Makes the server `replica` a replica of `primary`, and waits until the replica is connected."""
    with connect(address_of(replica)) as client:
        client.replicaof(primary.host, str(primary.port))
        wait_until(lambda: client.info("replication")["master_link_status"] == "up")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--batch", type=int, default=500, help="the most updates of a write")
    parser.add_argument("--updates", type=int, default=200_000)
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()

    def run(name: str, address: dict[str, object], servers: list[RedisServer], masters: int) -> float:
        rounds = make_batches(options.symbols, options.batch, options.updates)
        count = (len(rounds) - 1) * options.symbols
        used, own, commands = measure(address, servers, rounds)
        busiest = max(commands[:masters]) * masters / sum(commands[:masters])
        print(
            f"{name:28} servers {used / count * 1e6:6.2f} us, writer {own / count * 1e6:6.2f} us per update, "
            f"busiest master {busiest:.2f} of the mean"
        )
        return used / count

    with ExitStack() as stack:
        server, primary, replica = (stack.enter_context(RedisServer()) for _ in range(3))
        bare, full = (stack.enter_context(RedisCluster(NODES, replicas)) for replicas in (0, 1))
        replicate(primary, replica)
        for _ in range(options.pairs):
            single = run("one server", address_of(server), [server], 1)
            cluster = run("cluster", bare.address, [*bare.masters], NODES)
            print(f"CPU per update, cluster beside one server: {cluster / single:.2f}")
            single = run("one server with a replica", address_of(primary), [primary, replica], 1)
            cluster = run("cluster with replicas", full.address, [*full.nodes], NODES)
            print(f"CPU per update, both with replicas: {cluster / single:.2f}")


if __name__ == "__main__":
    main()
