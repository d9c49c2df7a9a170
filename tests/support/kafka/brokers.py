"""Three real Kafka brokers on this machine: one JVM each, which a test can stop, kill, pause and continue.

They are KRaft nodes, each broker and controller at once, set up as a careful installation would be: three replicas, two
of which must be in sync. No test stands in here.
"""

import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from uuid import uuid4

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic, PartitionMetadata

from stockwatch.local import reaper
from tests.support.kafka.distribution import CLUSTER, PROPERTIES, NoKafka, formatted, jars, java
from tests.support.waiting import wait_until

SECONDS = 90.0
"""How long brokers may take to come up on a machine that is busy with other things; 6 to 12 s is usual."""

# The JVM's own figures: small heaps, and code that is compiled quickly rather than well, for brokers start often here.
HEAP = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-Xshare:auto")
QUIET = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",)
QUICK = ("-XX:TieredStopAtLevel=1",)


def steady_port() -> int:
    """A free port that no client is given for its own end: it is still free when its broker comes back."""
    for port in random.sample(range(20_000, 30_000), 200):
        with socket.socket() as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise NoKafka("no free port from 20000 to 30000")


class Broker:
    """One node. Its port and folder stay the same however often it ends and starts."""

    def __init__(self, node: int, folder: Path, guard: "Guard", tuning: tuple[str, ...]) -> None:
        self.node = node
        self.folder = folder
        self.port, self.controller = steady_port(), steady_port()
        self._guard = guard
        self._tuning = tuning
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def output(self) -> Path:
        return self.folder / "output.txt"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise NoKafka(f"broker {self.node} was not started")
        return self._process

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def answering(self) -> bool:
        return self.running and not self._paused

    def prepare(self, voters: str, template: Path) -> None:
        """Writes its configuration and an empty, formatted log folder."""
        log = self.folder / "log"
        shutil.copytree(template, log)
        meta = f"version=1\ncluster.id={CLUSTER}\nnode.id={self.node}\n"
        (log / "meta.properties").write_text(meta)
        text = PROPERTIES.format(
            node=self.node, voters=voters, port=self.port, controller=self.controller, folder=self.folder
        )
        (self.folder / "server.properties").write_text(text)

    def start(self) -> None:
        """Returns at once; whoever needs the broker waits for what he needs."""
        assert not self.running
        self._paused = False
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [java(), *HEAP, *self._tuning, *QUIET, "-cp", f"{jars()}/*", "kafka.Kafka", "server.properties"],
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._guard.watch(self._process.pid)

    def stop(self) -> None:
        """Ends it in order: it hands its partitions over first."""
        self.process.terminate()
        self._await_end()

    def kill(self) -> None:
        """Ends it as a crash would."""
        self.process.kill()
        self._await_end()

    def pause(self) -> None:
        """Freezes it: its sockets stay open, and nothing answers."""
        self.process.send_signal(signal.SIGSTOP)
        self._paused = True

    def proceed(self) -> None:
        """Goes on after a pause."""
        self.process.send_signal(signal.SIGCONT)
        self._paused = False

    def _await_end(self) -> None:
        self.process.wait(SECONDS)
        self._guard.forget(self.process.pid)


class Guard:
    """Ends the brokers and removes their folder even where the tests themselves are killed."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-I", "-S", reaper.__file__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        self._write(f"folder {folder}")

    def watch(self, pid: int) -> None:
        self._write(f"watch {pid}")

    def forget(self, pid: int) -> None:
        self._write(f"forget {pid}")

    def close(self) -> None:
        """What is still watched ends now, and the folder goes."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(SECONDS)

    def _write(self, order: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(order.encode() + b"\n")
        self._process.stdin.flush()


class Brokers:
    """A cluster of three. `tuning` are options for the JVM; without them it is compiled for speed, and starts later."""

    def __init__(self, tuning: tuple[str, ...] = QUICK) -> None:
        java()
        self._template = formatted(jars())
        self.folder = Path(tempfile.mkdtemp(prefix="stockwatch-kafka-"))
        self._guard = Guard(self.folder)
        self.nodes = [self._node(number, tuning) for number in (1, 2, 3)]
        self._admin: AdminClient | None = None

    def _node(self, number: int, tuning: tuple[str, ...]) -> Broker:
        folder = self.folder / str(number)
        folder.mkdir()
        return Broker(number, folder, self._guard, tuning)

    @property
    def addresses(self) -> str:
        """Fit for KAFKA_BROKERS."""
        return ",".join(node.address for node in self.nodes)

    def start(self) -> None:
        """Returns when all three take part. Raises NoKafka with their last words when they do not."""
        voters = ",".join(f"{node.node}@127.0.0.1:{node.controller}" for node in self.nodes)
        for node in self.nodes:
            node.prepare(voters, self._template)
            node.start()
        try:
            self.await_whole()
        except AssertionError as error:
            words = [node.output.read_text(errors="replace")[-600:] for node in self.nodes]
            self.close()
            raise NoKafka("the brokers did not come up; their last words:\n" + "\n".join(words)) from error

    def await_alive(self, count: int) -> None:
        """Waits until so many brokers know of each other."""
        wait_until(lambda: self._alive() == count, SECONDS, f"{count} brokers alive")

    def _alive(self) -> int:
        try:
            return len(self.admin.list_topics(timeout=3).brokers)
        except KafkaException:
            self._admin = None  # it may hang on a broker that is paused: the next one asks another first
            return 0

    @property
    def admin(self) -> AdminClient:
        """A client for questions; those who hold on to it may find it hanging on a broker that was paused."""
        if self._admin is None:
            up = ",".join(node.address for node in self.nodes if node.answering)
            options = {"socket.timeout.ms": 1000, "log_level": 2, "error_cb": lambda _error: None}
            self._admin = AdminClient({"bootstrap.servers": up or self.addresses} | options)
        return self._admin

    def leader(self, topic: str, partition: int) -> int:
        """The node that leads a partition, 0 while there is none or nobody says."""
        partitions = self._partitions(topic)
        return max(partitions[partition].leader, 0) if partition in partitions else 0

    def in_sync(self, topic: str) -> int:
        """The smallest count of replicas that are in sync, over a topic's partitions; 0 where it is not there."""
        return min((len(partition.isrs) for partition in self._partitions(topic).values()), default=0)

    def _partitions(self, topic: str) -> dict[int, PartitionMetadata]:
        try:
            return self.admin.list_topics(timeout=3).topics[topic].partitions
        except (KafkaException, KeyError):
            self._admin = None
            return {}

    def await_in_sync(self, *topics: str, count: int = 3) -> None:
        """Waits until every partition of these topics has so many replicas in sync: one may be killed then."""
        for topic in topics:
            wait_until(
                lambda topic=topic: self.in_sync(topic) == count, SECONDS, f"{count} replicas of {topic} in sync"
            )

    def revive(self) -> None:
        """Whatever a test has done to them, all three run and take part again."""
        whole = all(node.answering for node in self.nodes)
        for node in self.nodes:
            if node.running:
                node.proceed()
            else:
                node.start()
        if not whole:
            self.await_whole()

    def await_whole(self) -> None:
        """Waits until a new topic can be made and all three keep it.

        What a broker says of the others may be old where most controllers were dead; such a topic needs them all.
        """
        name = f"probe-{uuid4().hex[:8]}"
        wait_until(lambda: self._make(name), SECONDS, "a controller that makes topics")
        self.await_in_sync(name)
        self.admin.delete_topics([name])[name].result(SECONDS)

    def _make(self, name: str) -> bool:
        try:
            self.admin.create_topics([NewTopic(name, 3, 3)], request_timeout=5)[name].result(10)
        except KafkaException as error:
            self._admin = None
            return error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
        return True

    def close(self) -> None:
        """Ends them at once; nothing of theirs is left."""
        self._admin = None
        for node in self.nodes:
            if node.running:
                node.kill()
        self._guard.close()

    def __enter__(self) -> "Brokers":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
