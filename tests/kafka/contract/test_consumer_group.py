from collections import Counter
from datetime import timedelta
from threading import Event
from time import monotonic
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Message, murmur2
from structlog.testing import capture_logs

from feeds.errors import GroupRefused
from feeds.kafka.consumer import UpdateConsumer
from feeds.kafka.last_updates import LastUpdates
from feeds.kafka.producer import UpdateProducer
from feeds.kafka.topic import Topic
from feeds.wire import Update, decode, encode
from tests.support.kafka.brokers import Brokers
from tests.support.kafka.fixtures import Produce, committed
from tests.support.kafka.members import DAY, Join
from tests.support.times import at
from tests.support.waiting import wait_until

SYMBOLS = ("AAPL", "BRK.B", "^GSPC", "BTC/USD", "EURUSD=X", "GOOG", "TSLA", "AMZN")


def make_updates(count: int, first: int = 1) -> list[Update]:
    return [Update(symbol, 1.5, at(number), number) for number in range(first, first + count) for symbol in SYMBOLS]


def read(member: UpdateConsumer, count: int, seconds: float = 60.0) -> list[Message]:
    """Returns at least `count` records."""
    records: list[Message] = []

    def enough() -> bool:
        records.extend(member.read())
        return len(records) >= count

    wait_until(enough, seconds, f"{count} records")
    return records


def next_offsets(records: list[Message]) -> dict[int, int]:
    """Returns the offsets to store after these records."""
    return {record.partition(): record.offset() + 1 for record in records}


def seq_ids(records: list[Message]) -> dict[str, list[int]]:
    """Returns the seq_ids of each symbol in their order."""
    by_symbol: dict[str, list[int]] = {}
    for record in records:
        update = decode(record.value())
        by_symbol.setdefault(update.symbol, []).append(update.seq_id)
    return by_symbol


def test_a_topic_is_created_with_four_partitions_and_three_replicas(kafka: str):
    name = f"ticks-{uuid4().hex}"
    assert Topic(kafka, name).describe().partitions == 0
    description = Topic(kafka, name).ensure(DAY, Event().wait)

    assert (description.partitions, description.replicas, description.brokers) == (4, 3, 3)
    assert Topic(kafka, name).ensure(DAY, Event().wait) == description


def test_delivered_updates_are_read_once_and_in_order(kafka: str, topic: str, join: Join):
    producer = UpdateProducer(kafka, topic)
    for update in make_updates(200):
        producer.send(update.symbol, encode(update))
    assert producer.close(60) == 0
    records = read(join(), 200 * len(SYMBOLS))

    assert seq_ids(records) == {symbol: list(range(1, 201)) for symbol in SYMBOLS}


def test_a_symbol_has_the_partition_that_java_clients_choose(topic: str, produce: Produce, join: Join):
    produce(*make_updates(1))
    partitions = {record.key(): record.partition() for record in read(join(), len(SYMBOLS))}

    assert partitions == {symbol.encode(): murmur2(symbol.encode(), 4) for symbol in SYMBOLS}


def test_a_record_that_is_too_large_is_refused_and_the_next_is_delivered(kafka: str, topic: str):
    producer = UpdateProducer(kafka, topic)
    producer.send("AAPL", b"x" * 2_000_000)
    producer.send("AAPL", encode(make_updates(1)[0]))

    assert producer.close(30) == 1
    assert (producer.delivered, dict(producer.failed)) == (1, {"MSG_SIZE_TOO_LARGE": 1})


def test_only_stored_offsets_are_committed_and_the_next_member_continues_there(
    kafka: str, topic: str, group: str, produce: Produce, join: Join
):
    produce(*make_updates(50))
    first = join()
    records = read(first, 50 * len(SYMBOLS))
    half = [record for record in records if record.offset() < 10]
    first.store(next_offsets(half))
    first.leave()
    assert committed(kafka, topic, group) == len(half)

    rest = read(join(), len(records) - len(half))
    assert min(record.offset() for record in rest) == 10
    assert len(rest) == len(records) - len(half)


def test_a_member_that_stored_nothing_commits_nothing(kafka: str, topic: str, group: str, produce: Produce, join: Join):
    produce(*make_updates(5))
    member = join()
    read(member, 5 * len(SYMBOLS))
    member.leave()

    assert committed(kafka, topic, group) == 0


def test_each_group_reads_all_records(topic: str, produce: Produce, join: Join):
    produce(*make_updates(5))
    for name in (f"first-{topic}", f"second-{topic}"):
        member = join(name)
        assert len(read(member, 5 * len(SYMBOLS))) == 5 * len(SYMBOLS)
        member.leave()


class Reads:
    """Counts how often each record was read, and by which members each partition."""

    def __init__(self, members: dict[str, UpdateConsumer]) -> None:
        self.members = members
        self.times = Counter[tuple[int, int]]()
        self.owners: dict[int, set[str]] = {}

    def count(self) -> int:
        """Reads from all members, and returns how many records were read so far."""
        for name, member in self.members.items():
            for record in member.read():
                self.times[record.partition(), record.offset()] += 1
                self.owners.setdefault(record.partition(), set()).add(name)
        return len(self.times)


def test_a_second_member_takes_partitions_and_returns_them_when_it_leaves(
    kafka: str, topic: str, group: str, produce: Produce, join: Join
):
    produce(*make_updates(10))
    revoked: list[int] = []
    offsets: dict[int, int] = {}

    def hand_over(partitions: list[int]) -> None:
        revoked.extend(partitions)
        first.store(offsets)
        first.commit()

    first = join(on_revoke=hand_over)
    offsets.update(next_offsets(read(first, 10 * len(SYMBOLS))))
    # Unlike real brokers, the embedded cluster refuses commits during a rebalance.
    first.store(offsets)
    first.commit()
    second = join()
    wait_until(lambda: [first.read(), second.read()] and revoked, 60, "a revocation")
    # The offsets stored in the callback are committed, so the second member reads only new records.
    assert committed(kafka, topic, group) == 10 * len(SYMBOLS)
    reads = Reads({"first": first, "second": second})
    produce(*make_updates(10, first=11))
    wait_until(lambda: reads.count() == 10 * len(SYMBOLS), 60, "all records, read by both")
    assert {partition for partition, names in reads.owners.items() if names == {"second"}} == set(revoked)
    assert set(reads.times.values()) == {1}

    reads.members.pop("second").leave()
    produce(*make_updates(10, first=21))
    # The member that left had stored no offsets, so its records are read again.
    wait_until(lambda: reads.count() == 20 * len(SYMBOLS), 60, "the records of the member that left")


def test_a_topic_without_records_has_no_last_updates(kafka: str, topic: str):
    assert LastUpdates(kafka, topic, monotonic).read(["AAPL"]) == {}


def test_the_last_update_of_each_symbol_is_found(kafka: str, topic: str, produce: Produce):
    produce(*make_updates(3_000), (b"AAPL", b"poison"), (b"GOOG", None))

    found = LastUpdates(kafka, topic, monotonic).read([*SYMBOLS, "NEW"])
    assert found == {update.symbol: update for update in make_updates(1, first=3_000)}


def test_paused_partitions_return_no_records_and_lose_none(topic: str, produce: Produce, join: Join):
    member = join()
    produce(*make_updates(1))
    records = read(member, len(SYMBOLS))
    member.pause()
    produce(*make_updates(100, first=2))
    during_pause = [record for _ in range(20) for record in member.read(0.01)]
    member.resume()
    records += during_pause + read(member, 100 * len(SYMBOLS) - len(during_pause))

    assert during_pause == []
    assert seq_ids(records) == {symbol: list(range(1, 102)) for symbol in SYMBOLS}


def read_until_refused(member: UpdateConsumer) -> str:
    """Reads until the brokers refuse the member. Returns the reason."""
    member.open(lambda _partitions: None, lambda _partitions: None, Event().wait)
    reasons: list[str] = []

    def refused() -> bool:
        try:
            member.read()
        except GroupRefused as error:
            reasons.append(str(error))
        return bool(reasons)

    wait_until(refused, 60.0, "a refusal")
    member.leave()
    return reasons[0]


@pytest.mark.kafka
def test_a_session_timeout_that_the_brokers_refuse_is_named(cluster: Brokers, group: str):
    name = f"ticks-{uuid4().hex}"
    Topic(cluster.addresses, name).ensure(DAY, Event().wait)
    with capture_logs() as lines:
        reason = read_until_refused(UpdateConsumer(cluster.addresses, name, group, timedelta(seconds=1)))
    assert reason.startswith(f"Kafka refuses a member of the group {group}: KAFKA_SESSION_TIMEOUT must be within")
    assert not any("unavailable" in line["event"] for line in lines)


@pytest.mark.kafka
def test_a_group_whose_members_use_another_assignor_is_named(cluster: Brokers, group: str):
    name = f"ticks-{uuid4().hex}"
    Topic(cluster.addresses, name).ensure(DAY, Event().wait)
    options = {"bootstrap.servers": cluster.addresses, "group.id": group, "partition.assignment.strategy": "range"}
    with Consumer(options) as other, capture_logs() as lines:
        other.subscribe([name])
        wait_until(lambda: other.poll(0.05) or other.assignment(), 60.0, "an assignment")
        reason = read_until_refused(UpdateConsumer(cluster.addresses, name, group, timedelta(seconds=6)))
    assert reason.startswith(f"Kafka refuses a member of the group {group}: another member of the group uses another")
    assert "KAFKA_GROUP_ID" in reason
    assert not any("unavailable" in line["event"] for line in lines)
