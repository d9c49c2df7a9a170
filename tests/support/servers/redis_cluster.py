"""Runs a Redis Cluster on this machine, and changes the cluster while programs use it.

Each node is a process of the server that `make run` uses.
"""

import random
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import redis

from feeds.store.cluster.slots import SLOTS
from stockwatch.local.redis_server import RedisServer, StartedInBlock
from tests.support.servers.processes import free_ports
from tests.support.waiting import wait_until

NODE_TIMEOUT_MS = 1500
"""If a master does not answer for this time, the other nodes make its replica the master."""


class ClusterNode(RedisServer):
    """One node. After a restart, the node still has its id and knows the other nodes."""

    def __init__(self, port: int, bus_port: int, host: str) -> None:
        self.bus_port = bus_port
        super().__init__(
            port,
            [
                *("--cluster-enabled", "yes", "--cluster-port", str(self.bus_port)),
                *("--cluster-node-timeout", str(NODE_TIMEOUT_MS)),
                *("--cluster-require-full-coverage", "no"),
                *("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"),
                *(
                    "--protected-mode",
                    "no",
                ),  # the nodes have no password, and other machines connect if `host` is not loopback
            ],
        )
        self.host = host

    def run(self, *command: Any) -> Any:
        """Runs one command on this node. Returns the reply without the conversions of redis-py."""
        with redis.Redis(host=self.host, port=self.port, protocol=2, socket_timeout=10) as client:
            client.response_callbacks.clear()
            return client.execute_command(*command)

    @property
    def id(self) -> str:
        return str(self.run("CLUSTER MYID").decode())

    @property
    def commands(self) -> int:
        """The number of commands that this node has processed."""
        with redis.Redis(host=self.host, port=self.port, protocol=2) as client:
            return int(client.info("stats")["total_commands_processed"])


class RedisCluster(StartedInBlock):
    """A cluster of masters, each with a number of replicas, on one address. All data is in memory only."""

    def __init__(self, masters: int = 3, replicas: int = 1, host: str = "127.0.0.1") -> None:
        self._host = host
        self._replicas = replicas
        self.nodes = self._make_nodes(masters * (1 + replicas))
        self.masters = self.nodes[:masters]

    def _make_nodes(self, count: int) -> list[ClusterNode]:
        ports = free_ports(2 * count, self._host)
        return [ClusterNode(*pair, self._host) for pair in zip(ports[:count], ports[count:], strict=True)]

    @property
    def address(self) -> dict[str, Any]:
        """The address of the cluster, in the form that `feeds.store.connection.connect` expects."""
        return {"nodes": tuple((node.host, node.port) for node in self.nodes[: len(self.masters)]), "password": None}

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of a program that uses this cluster."""
        nodes = ",".join(node.address for node in self.nodes[: len(self.masters)])
        return {"REDIS_ADDR": nodes, "REDIS_CLUSTER": "true"}

    def start(self) -> None:
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.wait_until_ready()
        count = len(self.masters)
        for number, node in enumerate(self.masters):
            first, end = SLOTS * number // count, SLOTS * (number + 1) // count
            node.run("CLUSTER SET-CONFIG-EPOCH", number + 1)
            node.run("CLUSTER ADDSLOTSRANGE", first, end - 1)
        self._meet(self.nodes[1:])
        for number, node in enumerate(self.nodes[count:]):
            node.run("CLUSTER REPLICATE", self.masters[number % count].id)
        self.wait_until_healthy()

    def _meet(self, nodes: Sequence[ClusterNode]) -> None:
        first = self.nodes[0]
        for node in nodes:
            node.run("CLUSTER MEET", first.host, first.port, first.bus_port)
        for node in self.nodes:
            wait_until(lambda node=node: self._known(node) == len(self.nodes), 60, "the nodes know each other")

    @staticmethod
    def _known(node: ClusterNode) -> int:
        lines = [line.split() for line in node.run("CLUSTER NODES").decode().splitlines()]
        return sum("handshake" not in line[2] for line in lines)

    def wait_until_healthy(self) -> None:
        """Waits until every running node reports that all slots are served, and every replica is connected."""
        for node in self.running:
            wait_until(lambda node=node: self._is_healthy(node), 60, f"state of the node {node.address}")

    def _is_healthy(self, node: ClusterNode) -> bool:
        info = dict(line.split(":") for line in node.run("CLUSTER INFO").decode().split())
        if info["cluster_state"] != "ok" or info["cluster_slots_ok"] != str(SLOTS):
            return False
        with redis.Redis(host=node.host, port=node.port, protocol=2) as client:
            replication = client.info("replication")
        return replication["role"] == "master" or replication["master_link_status"] == "up"

    @property
    def running(self) -> list[ClusterNode]:
        return [node for node in self.nodes if node.process.poll() is None]

    def owner(self, slot: int) -> ClusterNode:
        """Returns the node that serves a slot."""
        for first, last, (_, port, *_), *_ in self.running[0].run("CLUSTER SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        raise LookupError(f"no node serves slot {slot}")

    def other_master(self, slot: int) -> ClusterNode:
        """Returns a master that serves other slots, but not this slot."""
        ports = [port for _, _, (_, port, *_), *_ in self.running[0].run("CLUSTER SLOTS")]
        return next(node for node in self.nodes if node.port in ports and node is not self.owner(slot))

    def slots_of(self, node: ClusterNode) -> list[int]:
        """Returns the slots that a node serves."""
        return [
            slot
            for first, last, (_, port, *_), *_ in self.running[0].run("CLUSTER SLOTS")
            if port == node.port
            for slot in range(first, last + 1)
        ]

    def keys_in(self, node: ClusterNode, slot: int) -> list[bytes]:
        return list(node.run("CLUSTER GETKEYSINSLOT", slot, 10_000))

    def begin_migration(self, slot: int, target: ClusterNode) -> ClusterNode:
        """Begins to move a slot to `target`. Returns the node that has served the slot so far."""
        source = self.owner(slot)
        target.run("CLUSTER SETSLOT", slot, "IMPORTING", source.id)
        source.run("CLUSTER SETSLOT", slot, "MIGRATING", target.id)
        return source

    def move_keys(self, slot: int, source: ClusterNode, target: ClusterNode, count: int = 10_000) -> None:
        """Moves up to `count` keys of a slot between two nodes, after `begin_migration`."""
        if keys := self.keys_in(source, slot)[:count]:
            source.run("MIGRATE", target.host, target.port, "", 0, 10_000, "KEYS", *keys)

    def end_migration(self, slot: int, source: ClusterNode, target: ClusterNode) -> None:
        while self.keys_in(source, slot):
            self.move_keys(slot, source, target)
        for node in (target, source):
            node.run("CLUSTER SETSLOT", slot, "NODE", target.id)

    def migrate(self, slot: int, target: ClusterNode) -> None:
        """Moves a slot with all its keys to another master, as `redis-cli --cluster reshard` does."""
        source = self.begin_migration(slot, target)
        self.end_migration(slot, source, target)

    def add_node(self) -> ClusterNode:
        """Adds a master without slots."""
        [node] = self._make_nodes(1)
        node.start()
        self.nodes.append(node)
        self._meet([node])
        self.wait_until_healthy()
        return node

    def replica_of(self, master: ClusterNode) -> ClusterNode:
        lines = [line.split() for line in self.running[0].run("CLUSTER NODES").decode().splitlines()]
        identity = master.id
        port = next(int(line[1].split("@")[0].rpartition(":")[2]) for line in lines if line[3] == identity)
        return next(node for node in self.nodes if node.port == port)

    def kill(self, node: ClusterNode) -> None:
        node.kill()

    def freeze(self, node: ClusterNode) -> None:
        node.process.send_signal(signal.SIGSTOP)

    def thaw(self, node: ClusterNode) -> None:
        node.process.send_signal(signal.SIGCONT)

    def heal(self) -> None:
        """Starts the nodes that were killed, and waits until the cluster is healthy."""
        for node in self.nodes:
            if node.process.poll() is not None:
                node.start()
        self.wait_until_healthy()

    def clear(self) -> None:
        """Deletes all keys and all cached scripts."""
        for node in self.running:
            if node.run("ROLE")[0] == b"master":
                node.run("FLUSHALL")
                node.run("SCRIPT FLUSH")

    def close(self) -> None:
        with ExitStack() as stack:
            for node in random.sample(self.nodes, len(self.nodes)):
                stack.callback(node.close)
                if node._process is not None and node.process.poll() is None:
                    node.process.kill()  # All data is in memory, so nothing is left to save.
