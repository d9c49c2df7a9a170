"""Checks Kafka: brokers, topic, lag of the consumer groups, and rights."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from feeds.errors import BrokerUnavailable
from feeds.kafka.inspection import TIMEOUT_SECONDS, ClusterState, Inspection, TopicState
from feeds.kafka.lost_brokers import find_lost, read_views
from stockwatch.doctor.finding import Finding, failed, judge, passed, warned

LARGE_LAG = 10_000
"""A consumer group with more unfinished records than this number counts as far behind."""
TOPIC_RIGHTS = frozenset({"READ", "WRITE", "DESCRIBE"})
GROUP_RIGHTS = frozenset({"READ", "DESCRIBE"})


@dataclass(frozen=True, slots=True)
class KafkaPlan:
    """The settings of Kafka to check. `groups` maps the name of a program to its consumer group.

    `timeout` is the longest wait for one answer of the brokers, in seconds.
    """

    brokers: str
    topic: str
    partitions: int
    replicas: int
    groups: Mapping[str, str]
    is_production: bool
    timeout: float = TIMEOUT_SECONDS


def check_kafka(plan: KafkaPlan) -> Iterator[Finding]:
    """Checks the cluster, the topic and the consumer groups in `plan`."""
    inspection = Inspection(plan.brokers, plan.timeout)
    try:
        cluster = inspection.read_cluster()
    except BrokerUnavailable as error:
        advice = "start Kafka, or correct KAFKA_BROKERS, KAFKA_SECURITY_PROTOCOL and KAFKA_SASL_…; check the firewall"
        yield failed("kafka", f"no answer from {plan.brokers} ({error})", advice)
        return
    yield check_brokers(cluster, plan)
    yield from check_views(read_views(plan.brokers.split(","), plan.timeout))
    topic = cluster.topics.get(plan.topic, TopicState())
    if not topic.partitions:
        yield describe_missing(topic, plan)
        return
    yield from check_topic(topic, plan)
    if not cluster.embedded:  # an embedded cluster has neither configuration nor rights
        yield from check_in_sync(inspection, topic, plan.topic)
        yield from check_topic_rights(inspection, plan.topic)
    for program, group in plan.groups.items():
        yield from check_group(inspection, program, group, plan.topic, topic.partitions, cluster.embedded)


def check_brokers(cluster: ClusterState, plan: KafkaPlan) -> Finding:
    found = f"{cluster.brokers} brokers answer"
    advice = f"start {plan.replicas} brokers, or set KAFKA_TOPIC_REPLICAS={cluster.brokers}"
    if cluster.brokers < plan.replicas:
        return (failed if plan.is_production else warned)("kafka", found, advice)
    return passed("kafka", found)


def check_views(views: Mapping[str, ClusterState]) -> Iterator[Finding]:
    """Finds brokers that answer although the others have lost them. `views` has the answer of each broker."""
    for address, others in find_lost(views).items():
        found = f"{address} answers, but is no part of the cluster for {', '.join(others)}"
        advice = "its connections to the other brokers are cut, and prices may wait for it: stop it, then mend them"
        yield failed("kafka", found, advice)


def describe_missing(topic: TopicState, plan: KafkaPlan) -> Finding:
    """Returns the failed result for a topic that does not exist, or that this client may not describe."""
    if topic.refusal:
        return failed("kafka topic", f"{plan.topic}: {topic.refusal}", "grant describe, or create the topic")
    advice = "start the generator or the feeder, which creates it, or create it; check KAFKA_TOPIC"
    return failed("kafka topic", f"{plan.topic} does not exist", advice)


def check_topic(topic: TopicState, plan: KafkaPlan) -> Iterator[Finding]:
    """Checks partitions and replicas of the topic."""
    found = f"{plan.topic} has {topic.partitions} partitions with {topic.replicas} replicas"
    if topic.partitions < plan.partitions:
        advice = f"add partitions while no program runs, or set KAFKA_TOPIC_PARTITIONS={topic.partitions}"
        yield failed("kafka topic", f"{found}, not {plan.partitions} partitions", advice)
    elif topic.replicas < plan.replicas:
        level = failed if plan.is_production else warned
        advice = "a lost broker loses prices: raise the replicas with kafka-reassign-partitions.sh"
        yield level("kafka topic", f"{found}, not {plan.replicas} replicas", advice)
    else:
        yield passed("kafka topic", found)
    if topic.leaderless:
        yield failed("kafka topic", f"{topic.leaderless} partitions have no leader", "start the missing brokers")
    elif topic.in_sync < topic.replicas:
        found = f"a partition has {topic.in_sync} of {topic.replicas} replicas in sync"
        yield warned("kafka topic", found, "start the missing brokers, and look at their disks")


def check_in_sync(inspection: Inspection, topic: TopicState, name: str) -> Iterator[Finding]:
    """Checks that enough replicas are in sync for a write, and that one lost broker does not stop all writes."""
    try:
        least = inspection.read_min_in_sync(name)
    except BrokerUnavailable as error:
        yield warned("kafka min ISR", f"min.insync.replicas is not readable ({error})", "grant describe-configs")
        return
    found = f"min.insync.replicas is {least} with {topic.replicas} replicas"
    if least > topic.in_sync:
        yield failed("kafka min ISR", f"{found}, {topic.in_sync} in sync", "start brokers: all writes are refused now")
    elif least == topic.replicas > 1:
        yield failed("kafka min ISR", found, f"set {least - 1}: the loss of one broker stops all prices")
    elif least == 1 and topic.replicas > 1:
        yield warned("kafka min ISR", found, "set 2: one broker alone may acknowledge a price and then lose it")
    else:
        yield passed("kafka min ISR", found)


def check_topic_rights(inspection: Inspection, topic: str) -> Iterator[Finding]:
    try:
        yield from check_operations(f"topic {topic}", inspection.read_topic_rights(topic), TOPIC_RIGHTS)
    except BrokerUnavailable as error:
        yield failed("kafka rights", f"topic {topic}: {error}", "grant describe, read and write")


def check_operations(resource: str, operations: Collection[str] | None, needed: Collection[str]) -> Iterator[Finding]:
    """Checks that `operations`, the rights that the brokers report, contain all rights in `needed`.

    Yields nothing if `operations` is None.
    """
    if operations is None:
        return
    lacking = sorted(set(needed) - set(operations))
    found = f"{resource}: {', '.join(lacking) or 'none'} lacking"
    yield judge("kafka rights", bool(lacking), found, "grant them to this user; docs/operations/servers.md lists all")


def check_group(
    inspection: Inspection, program: str, group: str, topic: str, partitions: int, embedded: bool
) -> Iterator[Finding]:
    """Checks members and lag of a consumer group."""
    subject = f"kafka {program}"
    try:
        state = None if embedded else inspection.read_group(group)
        lag = inspection.read_lag(group, topic, partitions)
    except BrokerUnavailable as error:
        yield failed(subject, f"group {group}: {error}", "grant this user describe and read of the group")
        return
    if state is not None:
        yield from check_operations(f"group {group}", state.operations, GROUP_RIGHTS)
    members = "" if state is None else f", {state.members} members"
    if lag is None:
        yield warned(subject, f"group {group} has committed nothing{members}", f"start the {program}")
    elif state is not None and not state.members:
        yield warned(subject, f"group {group} has no member, lag {lag}", f"start the {program}")
    elif lag > LARGE_LAG:
        yield warned(subject, f"group {group} has a lag of {lag}{members}", f"see whether the {program} is too slow")
    else:
        yield passed(subject, f"group {group} has a lag of {lag}{members}")
