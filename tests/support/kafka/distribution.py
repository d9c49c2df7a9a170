"""Prepares a real Kafka: finds Java, downloads the jars, formats a log folder.

The jars come from Maven Central. The jars and the log folder stay in build/kafka until the file `pom.xml` changes.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[2] / "build" / "kafka"
JAVA = 17
CLUSTER = "stockwatch-tests-00000"

PROPERTIES = """
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={folder}/log
num.partitions=4
default.replication.factor=3
min.insync.replicas=2
unclean.leader.election.enable=false
auto.create.topics.enable=false
offsets.topic.num.partitions=8
offsets.topic.replication.factor=3
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=6000
# A killed broker is detected by its missing heartbeats. The defaults are 9 s and 2 s.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
# Without this, a stop that cannot hand over its partitions takes minutes.
controlled.shutdown.max.retries=1
log.segment.bytes=67108864
log.cleaner.dedupe.buffer.size=2097152
num.io.threads=3
num.network.threads=2
num.recovery.threads.per.data.dir=1
background.threads=2
"""


class KafkaNotInstalled(RuntimeError):
    """Real brokers cannot run on this machine. The message says what is missing."""


def java() -> str:
    """Returns the path of Java. Raises KafkaNotInstalled if Java is missing or older than version 17."""
    home = os.environ.get("JAVA_HOME", "")
    found = (home and shutil.which("java", path=f"{home}/bin")) or shutil.which("java")
    if not found:
        package = f"openjdk-{JAVA}-jre-headless"
        raise KafkaNotInstalled(f"no Java: install a JRE {JAVA} (Debian and Ubuntu: apt install {package})")
    output = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', output)
    if version is None or int(version[1]) < JAVA:
        raise KafkaNotInstalled(f"{found} is older than Java {JAVA}: install one, or set JAVA_HOME")
    return found


def jars() -> Path:
    """Returns the folder of Kafka's jars. Raises KafkaNotInstalled.

    Downloads the jars if `pom.xml` has changed.
    """
    pom = HERE / "pom.xml"
    folder, cached_pom = CACHE / "jars", CACHE / "pom.xml"
    if cached_pom.exists() and cached_pom.read_bytes() == pom.read_bytes():
        return folder
    maven = shutil.which("mvn")
    if not maven:
        raise KafkaNotInstalled("no Maven to download Kafka's jars: install it (Debian and Ubuntu: apt install maven)")
    shutil.rmtree(CACHE, ignore_errors=True)
    folder.mkdir(parents=True)
    goal = ["dependency:copy-dependencies", f"-Djars={folder}"]
    download = subprocess.run([maven, "-B", "-q", "-f", pom, *goal], capture_output=True, text=True, check=False)
    if download.returncode:
        raise KafkaNotInstalled(f"Maven could not download Kafka's jars: {download.stdout[-800:]}")
    shutil.copy(pom, cached_pom)
    return folder


def formatted(folder: Path) -> Path:
    """Returns an empty log folder that Kafka's tool has formatted. Each broker gets a copy."""
    template = CACHE / "formatted"
    if template.exists():
        return template
    work = Path(tempfile.mkdtemp(dir=CACHE))
    text = PROPERTIES.format(node=1, voters="1@127.0.0.1:1", host="127.0.0.1", port=2, controller=1, folder=work)
    (work / "server.properties").write_text(text)
    tool = [java(), "-cp", f"{folder}/*", "kafka.tools.StorageTool", "format"]
    options = ["-t", CLUSTER, "-c", str(work / "server.properties")]
    formatting = subprocess.run([*tool, *options], capture_output=True, text=True, check=False)
    if formatting.returncode:
        raise KafkaNotInstalled(f"kafka-storage could not format a folder: {formatting.stderr[-400:]}")
    (work / "log").rename(template)
    shutil.rmtree(work)
    return template
