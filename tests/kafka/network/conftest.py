import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from confluent_kafka import murmur2
from confluent_kafka.admin import NewTopic

from stockwatch.local.redis_server import free_port
from tests.support.kafka.broker_place import Place, remove_leftover_disks
from tests.support.kafka.brokers import Brokers
from tests.support.kafka.connections import Connections
from tests.support.kafka.pipeline import Pipeline
from tests.support.kafka.programs import Program
from tests.support.monitoring.prometheus import Prometheus
from tests.support.network import Network
from tests.support.waiting import wait_until

DISK_MB = 128


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    """Three machines that a bridge connects, and that are connected with this host one by one.

    Fails if this host does not allow network namespaces.
    """
    with Network() as network:
        for number in (1, 2, 3):
            network.add(f"broker{number}", f"10.78.0.{number}")
            network.connect_to_host(f"broker{number}", f"10.78.{number}.2", f"10.78.{number}.1")
        yield network


@pytest.fixture(scope="session")
def cluster(network: Network) -> Iterator[Brokers]:
    """Three real brokers. Each has a machine and a small disk of its own."""
    remove_leftover_disks()
    places = [Place(f"broker{n}", f"10.78.0.{n}", f"10.78.{n}.2", free_port(), DISK_MB) for n in (1, 2, 3)]
    with Brokers(places=places) as cluster:
        yield cluster


@pytest.fixture
def connections(network: Network, brokers: Brokers) -> Iterator[Connections]:
    """Cuts connections of brokers. All of them are mended after a test."""
    connections = Connections(network)
    yield connections
    connections.mend()
    brokers.await_healthy()


@pytest.fixture
def recorder(pipeline: Pipeline) -> Program:
    return pipeline.run("runrecorder", RECORDER_GROUP_ID=f"recorder-{pipeline.topic}")


@pytest.fixture
def only_leader(pipeline: Pipeline, rng: Random) -> int:
    """The number of a broker that leads all partitions of the topic. A test must use this fixture before `programs`."""
    first = rng.randrange(3)
    replicas = [(first + number) % 3 + 1 for number in range(3)]
    new = NewTopic(pipeline.topic, 4, replica_assignment=[replicas] * 4)
    pipeline.brokers.admin.create_topics([new], request_timeout=60)[pipeline.topic].result(90)
    pipeline.brokers.await_in_sync(pipeline.topic)
    return replicas[0]


@pytest.fixture
def programs(pipeline: Pipeline, recorder: Program) -> tuple[Program, Program]:
    """A generator and a processor that publish prices, beside a recorder."""
    processor = pipeline.processor()
    generator = pipeline.generator(GENERATOR_INTERVAL="20ms")
    wait_until(lambda: pipeline.listener.count > 20, 60, "prices")
    wait_until(lambda: recorder.metric("stockwatch_recorder_recorded_total") > 0, 60, "recorded prices")
    pipeline.brokers.await_in_sync(pipeline.topic, "__consumer_offsets")
    return generator, processor


@pytest.fixture
def prometheus(programs: tuple[Program, Program], tmp_path: Path) -> Iterator[Prometheus]:
    """A Prometheus that reads the metrics of the processor."""
    if shutil.which("prometheus") is None:
        pytest.skip("needs Prometheus (Debian and Ubuntu: apt install prometheus)")
    folder = tmp_path / "prometheus"
    folder.mkdir()
    prometheus = Prometheus(folder, {"processor": programs[1].metrics_port})
    yield prometheus
    prometheus.end()


@pytest.fixture
def leader(pipeline: Pipeline, programs: tuple[Program, Program], rng: Random) -> int:
    """The number of a broker that leads a partition with prices."""
    symbol = rng.choice(sorted(pipeline.listener.newest))
    return pipeline.brokers.leader(pipeline.topic, murmur2(symbol.encode(), 4))
