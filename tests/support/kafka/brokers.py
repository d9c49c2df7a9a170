"""Runs three real Kafka brokers on this machine.

A test can stop, kill, pause and resume each broker. Each broker runs in its own JVM and is also a KRaft controller. As
in production, each partition has three replicas, and at least two of the replicas must be in sync.
"""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic, PartitionMetadata

from stockwatch.local.redis_server import StartedInBlock
from tests.support.kafka.broker_place import LOCAL, Place
from tests.support.kafka.distribution import CLUSTER, PROPERTIES, KafkaNotInstalled, formatted, jars, java
from tests.support.kafka.secure_listener import add_secure_listener
from tests.support.servers.certificates import Certificates
from tests.support.servers.processes import ProcessReaper, free_ports
from tests.support.waiting import wait_until

TIMEOUT_SECONDS = 90.0
"""How long brokers may take to start on a busy machine. They usually take 6 to 12 s."""

# Small heaps, and quick compilation instead of fast code, because the tests start brokers often.
HEAP_OPTIONS = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-Xshare:auto")
LOG_OPTIONS = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",)
FAST_START = ("-XX:TieredStopAtLevel=1",)


class Broker:
    """One broker. Its port and folder stay the same after a restart."""

    def __init__(
        self,
        node: int,
        folder: Path,
        ports: Sequence[int],
        reaper: ProcessReaper,
        tuning: tuple[str, ...],
        secure: Certificates | None,
        place: Place = LOCAL,
    ) -> None:
        self.node = node
        self.folder = folder
        self.place = place
        self.port, self.controller, self.secure_port = ports
        self.cut_off = False
        self._secure = secure
        self._reaper = reaper
        self._tuning = tuning
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    @property
    def address(self) -> str:
        """The address for clients."""
        return f"{self.place.host}:{self.place.client_port or self.port}"

    @property
    def voter(self) -> str:
        """The broker as one of the cluster's controllers."""
        return f"{self.node}@{self.place.peer_host}:{self.controller}"

    @property
    def output(self) -> Path:
        return self.folder / "output.txt"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise KafkaNotInstalled(f"broker {self.node} was not started")
        return self._process

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def answering(self) -> bool:
        return self.running and not self._paused and not self.cut_off

    def prepare(self, voters: str, template: Path) -> None:
        """Writes the configuration and an empty, formatted log folder."""
        log = self.folder / "log"
        self.place.make_disk(log)
        shutil.copytree(template, log, dirs_exist_ok=True)
        meta = f"version=1\ncluster.id={CLUSTER}\nnode.id={self.node}\n"
        (log / "meta.properties").write_text(meta)
        ports = {"port": self.port, "controller": self.controller}
        text = PROPERTIES.format(node=self.node, voters=voters, host=self.place.peer_host, folder=self.folder, **ports)
        text = self.place.add_listener(text)
        if self._secure is not None:
            text = add_secure_listener(text, self.secure_port, self._secure, self.folder)
        (self.folder / "server.properties").write_text(text)

    def start(self) -> None:
        """Starts the process and returns before the broker is ready."""
        assert not self.running
        self._paused = False
        with self.output.open("ab") as output:
            command = [java(), *HEAP_OPTIONS, *self._tuning, *LOG_OPTIONS]
            self._process = subprocess.Popen(
                self.place.command([*command, "-cp", f"{jars()}/*", "kafka.Kafka", "server.properties"]),
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._reaper.watch(self._process.pid)

    def stop(self) -> None:
        """Stops the broker. Before the broker ends, it hands over its partitions to the other brokers."""
        self.process.terminate()
        self._await_end()

    def kill(self) -> None:
        """Kills the process."""
        self.process.kill()
        self._await_end()

    def pause(self) -> None:
        """Freezes the process. Its sockets stay open and do not answer."""
        self.process.send_signal(signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        """Continues the paused process."""
        self.process.send_signal(signal.SIGCONT)
        self._paused = False

    def _await_end(self) -> None:
        self.process.wait(TIMEOUT_SECONDS)
        self._reaper.forget(self.process.pid)


class Brokers(StartedInBlock):
    """A cluster of three brokers.

    `tuning` holds options of the JVM. With the default, FAST_START, the JVM starts sooner but runs slower. With
    `secure`, the brokers also listen for clients with TLS, a certificate and a user. `places` says where each broker
    runs.
    """

    def __init__(
        self,
        tuning: tuple[str, ...] = FAST_START,
        secure: Certificates | None = None,
        places: Sequence[Place] = (LOCAL, LOCAL, LOCAL),
    ) -> None:
        java()
        self._template = formatted(jars())
        self.folder = Path(tempfile.mkdtemp(prefix="stockwatch-kafka-"))
        self._reaper = ProcessReaper(self.folder)
        ports = free_ports(9)
        self.nodes = [
            self._node(number, ports[number - 1 :: 3], tuning, secure, place) for number, place in enumerate(places, 1)
        ]
        self._admin: AdminClient | None = None
        self._asked = ""

    def _node(
        self, number: int, ports: Sequence[int], tuning: tuple[str, ...], secure: Certificates | None, place: Place
    ) -> Broker:
        folder = self.folder / str(number)
        folder.mkdir()
        return Broker(number, folder, ports, self._reaper, tuning, secure, place)

    @property
    def addresses(self) -> str:
        """The addresses of the brokers as a value for KAFKA_BROKERS."""
        return ",".join(node.address for node in self.nodes)

    @property
    def secure_addresses(self) -> str:
        """The addresses at which the brokers require TLS and a user."""
        return ",".join(f"localhost:{node.secure_port}" for node in self.nodes)

    def start(self) -> None:
        """Starts all brokers and waits until they are healthy.

        Raises KafkaNotInstalled with the output of the brokers.
        """
        voters = ",".join(node.voter for node in self.nodes)
        for node in self.nodes:
            node.prepare(voters, self._template)
            node.start()
        try:
            self.await_healthy()
        except AssertionError as error:
            output = [node.output.read_text(errors="replace")[-600:] for node in self.nodes]
            self.close()
            raise KafkaNotInstalled("the brokers did not start:\n" + "\n".join(output)) from error

    def await_alive(self, count: int) -> None:
        """Waits until `count` brokers are in the cluster's metadata."""
        wait_until(lambda: self._alive() == count, TIMEOUT_SECONDS, f"{count} brokers alive")

    def _alive(self) -> int:
        try:
            return len(self.admin.list_topics(timeout=3).brokers)
        except KafkaException:
            self._admin = None  # this client may block on a paused broker; a new client connects to another broker
            return 0

    @property
    def admin(self) -> AdminClient:
        """An admin client for one use.

        A caller must not keep the client: the client may block on a broker that is paused or cut off later.
        """
        answering = ",".join(node.address for node in self.nodes if node.answering)
        if self._admin is None or answering != self._asked:
            self._asked = answering
            options = {"socket.timeout.ms": 1000, "log_level": 2, "error_cb": lambda _error: None}
            self._admin = AdminClient({"bootstrap.servers": answering or self.addresses} | options)
        return self._admin

    def leader(self, topic: str, partition: int) -> int:
        """Returns the number of the broker that leads a partition; 0 if no leader is known."""
        partitions = self._partitions(topic)
        return max(partitions[partition].leader, 0) if partition in partitions else 0

    def in_sync(self, topic: str) -> int:
        """Returns the smallest number of in-sync replicas of all partitions of a topic; 0 if the topic is missing."""
        return min((len(partition.isrs) for partition in self._partitions(topic).values()), default=0)

    def _partitions(self, topic: str) -> dict[int, PartitionMetadata]:
        try:
            return self.admin.list_topics(timeout=3).topics[topic].partitions
        except (KafkaException, KeyError):
            self._admin = None
            return {}

    def await_in_sync(self, *topics: str, count: int = 3) -> None:
        """Waits until every partition of these topics has `count` replicas in sync.

        A test may kill one broker only if three replicas are in sync.
        """
        for topic in topics:
            wait_until(
                lambda topic=topic: self.in_sync(topic) == count,
                TIMEOUT_SECONDS,
                f"{count} replicas of {topic} in sync",
            )

    def restore(self) -> None:
        """Restarts or resumes all brokers and waits until they are healthy."""
        healthy = all(node.answering for node in self.nodes)
        for node in self.nodes:
            if node.running:
                node.resume()
            else:
                node.start()
        if not healthy:
            self.await_healthy()

    def await_healthy(self) -> None:
        """Waits until all brokers work. For this, creates a topic and waits until the topic has three replicas in sync.

        The metadata alone may be outdated if most of the controllers were down.
        """
        name = f"probe-{uuid4().hex[:8]}"
        wait_until(lambda: self._create(name), TIMEOUT_SECONDS, "a controller that creates topics")
        self.await_in_sync(name)
        wait_until(lambda: self._delete(name), TIMEOUT_SECONDS, "a controller that deletes topics")

    def _create(self, name: str) -> bool:
        try:
            self.admin.create_topics([NewTopic(name, 3, 3)], request_timeout=5)[name].result(10)
        except KafkaException as error:
            self._admin = None
            return error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
        return True

    def _delete(self, name: str) -> bool:
        try:
            self.admin.delete_topics([name])[name].result(TIMEOUT_SECONDS)
        except KafkaException as error:  # on a busy machine the answer may come too late
            self._admin = None
            return error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART
        return True

    def close(self) -> None:
        """Kills all brokers and removes their files."""
        self._admin = None
        for node in self.nodes:
            if node.running:
                node.kill()
            node.place.remove_disk()
        self._reaper.close()
