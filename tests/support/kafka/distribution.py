"""What a real Kafka is made of: Java, the jars from Maven Central, a configuration, and a formatted log folder.

Jars and folder are kept in build/kafka and made again when the pom changes. Nothing is started here but Kafka's own
tool that formats.
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
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
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
# A broker that was killed is found out by its silence. These are 9 s and 2 s by default.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
# An orderly stop that cannot hand its leaders over must not last minutes.
controlled.shutdown.max.retries=1
log.segment.bytes=67108864
log.cleaner.dedupe.buffer.size=2097152
num.io.threads=3
num.network.threads=2
num.recovery.threads.per.data.dir=1
background.threads=2
"""


class NoKafka(RuntimeError):
    """Real brokers cannot run on this machine; the text says what is lacking."""


def java() -> str:
    """Path of a Java that is new enough. Raises NoKafka."""
    home = os.environ.get("JAVA_HOME", "")
    found = (home and shutil.which("java", path=f"{home}/bin")) or shutil.which("java")
    if not found:
        raise NoKafka(f"no Java: install a JRE {JAVA} (Debian and Ubuntu: apt install openjdk-{JAVA}-jre-headless)")
    said = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < JAVA:
        raise NoKafka(f"{found} is no Java {JAVA} or newer: install one, or set JAVA_HOME")
    return found


def jars() -> Path:
    """The folder with Kafka's jars, filled by Maven when the pom has changed. Raises NoKafka."""
    pom = HERE / "pom.xml"
    folder, noted = CACHE / "jars", CACHE / "pom.xml"
    if noted.exists() and noted.read_bytes() == pom.read_bytes():
        return folder
    maven = shutil.which("mvn")
    if not maven:
        raise NoKafka("no Maven to fetch Kafka's jars with: install it (Debian and Ubuntu: apt install maven)")
    shutil.rmtree(CACHE, ignore_errors=True)
    folder.mkdir(parents=True)
    goal = ["dependency:copy-dependencies", f"-Djars={folder}"]
    fetched = subprocess.run([maven, "-B", "-q", "-f", pom, *goal], capture_output=True, text=True, check=False)
    if fetched.returncode:
        raise NoKafka(f"Maven could not fetch Kafka's jars: {fetched.stdout[-800:]}")
    shutil.copy(pom, noted)
    return folder


def formatted(folder: Path) -> Path:
    """What Kafka's own tool makes of an empty log folder, made once and copied for each node."""
    template = CACHE / "formatted"
    if template.exists():
        return template
    work = Path(tempfile.mkdtemp(dir=CACHE))
    text = PROPERTIES.format(node=1, voters="1@127.0.0.1:1", port=2, controller=1, folder=work)
    (work / "server.properties").write_text(text)
    tool = [java(), "-cp", f"{folder}/*", "kafka.tools.StorageTool", "format"]
    options = ["-t", CLUSTER, "-c", str(work / "server.properties")]
    made = subprocess.run([*tool, *options], capture_output=True, text=True, check=False)
    if made.returncode:
        raise NoKafka(f"kafka-storage could not format a folder: {made.stderr[-400:]}")
    (work / "log").rename(template)
    shutil.rmtree(work)
    return template
