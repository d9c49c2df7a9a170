from collections import Counter
from threading import Event
from time import monotonic
from uuid import uuid4

from confluent_kafka import Message, murmur2

from feeds.kafka.consumer import UpdateConsumer
from feeds.kafka.last_updates import LastUpdates
from feeds.kafka.producer import UpdateProducer
from feeds.kafka.topic import Topic
from feeds.wire import Update, decode, encode
from tests.support.kafka.fixtures import Produce, committed
from tests.support.kafka.members import DAY, Join
from tests.support.waiting import wait_until

SYMBOLS = ("AAPL", "BRK.B", "^GSPC", "BTC/USD", "EURUSD=X", "GOOG", "TSLA", "AMZN")


def feed(count: int, first: int = 1) -> list[Update]:
    return [Update(symbol, 1.5, number, number) for number in range(first, first + count) for symbol in SYMBOLS]


def read(source: UpdateConsumer, count: int, seconds: float = 60.0) -> list[Message]:
    """So many records, or more if they came together."""
    records: list[Message] = []

    def enough() -> bool:
        records.extend(source.read())
        return len(records) >= count

    wait_until(enough, seconds, f"{count} records")
    return records


def ends(records: list[Message]) -> dict[int, int]:
    """The offsets to store when all of these are done."""
    return {record.partition(): record.offset() + 1 for record in records}


def symbols(records: list[Message]) -> dict[str, list[int]]:
    """The numbers of each symbol as they came."""
    came: dict[str, list[int]] = {}
    for record in records:
        update = decode(record.value())
        came.setdefault(update.symbol, []).append(update.seq_id)
    return came


def test_a_topic_is_made_with_four_partitions_of_three_replicas(kafka: str):
    name = f"ticks-{uuid4().hex}"
    assert Topic(kafka, name).look().partitions == 0
    facts = Topic(kafka, name).ensure(DAY, Event().wait)

    assert (facts.partitions, facts.replicas, facts.brokers) == (4, 3, 3)
    assert Topic(kafka, name).ensure(DAY, Event().wait) == facts


def test_what_was_delivered_is_read_once_and_each_symbol_in_order(kafka: str, topic: str, join: Join):
    sink = UpdateProducer(kafka, topic)
    for update in feed(200):
        sink.send(update.symbol, encode(update))
    assert sink.close(30) == 0
    records = read(join(), 200 * len(SYMBOLS))

    assert symbols(records) == {symbol: list(range(1, 201)) for symbol in SYMBOLS}


def test_a_symbol_lands_in_the_partition_where_java_clients_put_it(topic: str, produce: Produce, join: Join):
    produce(*feed(1))
    landed = {record.key(): record.partition() for record in read(join(), len(SYMBOLS))}

    assert landed == {symbol.encode(): murmur2(symbol.encode(), 4) for symbol in SYMBOLS}


def test_a_record_that_is_too_large_is_refused_and_the_next_goes_through(kafka: str, topic: str):
    sink = UpdateProducer(kafka, topic)
    sink.send("AAPL", b"x" * 2_000_000)
    sink.send("AAPL", encode(feed(1)[0]))

    assert sink.close(30) == 1
    assert (sink.delivered, dict(sink.failed)) == (1, {"MSG_SIZE_TOO_LARGE": 1})


def test_only_what_was_stored_is_committed_and_the_next_member_goes_on_there(
    kafka: str, topic: str, group: str, produce: Produce, join: Join
):
    produce(*feed(50))
    first = join()
    records = read(first, 50 * len(SYMBOLS))
    half = [record for record in records if record.offset() < 10]
    first.store(ends(half))
    first.leave()
    assert committed(kafka, topic, group) == len(half)

    rest = read(join(), len(records) - len(half))
    assert min(record.offset() for record in rest) == 10
    assert len(rest) == len(records) - len(half)


def test_a_member_that_stored_nothing_commits_nothing(kafka: str, topic: str, group: str, produce: Produce, join: Join):
    produce(*feed(5))
    member = join()
    read(member, 5 * len(SYMBOLS))
    member.leave()

    assert committed(kafka, topic, group) == 0


def test_another_group_reads_everything_from_the_start(topic: str, produce: Produce, join: Join):
    produce(*feed(5))
    for name in (f"first-{topic}", f"second-{topic}"):
        member = join(name)
        assert len(read(member, 5 * len(SYMBOLS))) == 5 * len(SYMBOLS)
        member.leave()


def test_a_second_member_takes_a_share_and_gets_it_back_when_it_leaves(
    kafka: str, topic: str, group: str, produce: Produce, join: Join
):
    produce(*feed(10))
    revoked: list[int] = []
    stored: dict[int, int] = {}

    def hand_over(partitions: list[int]) -> None:
        revoked.extend(partitions)
        first.store(stored)
        first.commit()

    first = join(on_revoke=hand_over)
    stored.update(ends(read(first, 10 * len(SYMBOLS))))
    # The embedded cluster refuses commits while it rebalances, as real brokers do not; what was refused is read again.
    first.store(stored)
    first.commit()
    second = join()
    wait_until(lambda: [first.read(), second.read()] and revoked, 60, "a revocation")
    # What was stored in the revocation is behind the group: the other finds only what comes now.
    assert committed(kafka, topic, group) == 10 * len(SYMBOLS)
    seen = Counter[tuple[int, int]]()
    owners: dict[int, set[str]] = {}

    members = {"first": first, "second": second}

    def all_seen(count: int) -> bool:
        for name, member in members.items():
            for record in member.read():
                seen[record.partition(), record.offset()] += 1
                owners.setdefault(record.partition(), set()).add(name)
        return len(seen) == count * len(SYMBOLS)

    produce(*feed(10, first=11))
    wait_until(lambda: all_seen(10), 60, "all records, between both")
    assert {partition for partition, names in owners.items() if names == {"second"}} == set(revoked)
    assert set(seen.values()) == {1}

    members.pop("second").leave()
    produce(*feed(10, first=21))
    # The one that left had stored nothing: its share is read again, and then what is new.
    wait_until(lambda: all_seen(20), 60, "the share of the one that left")


def test_a_topic_without_records_has_no_history(kafka: str, topic: str):
    assert LastUpdates(kafka, topic, monotonic).read(["AAPL"]) == {}


def test_the_last_update_of_each_symbol_is_found_again(kafka: str, topic: str, produce: Produce):
    produce(*feed(3_000), (b"AAPL", b"poison"), (b"GOOG", None))

    found = LastUpdates(kafka, topic, monotonic).read([*SYMBOLS, "NEW"])
    assert found == {update.symbol: update for update in feed(1, first=3_000)}


def test_paused_partitions_stand_still_and_lose_nothing(topic: str, produce: Produce, join: Join):
    member = join()
    produce(*feed(1))
    came = read(member, len(SYMBOLS))
    member.pause()
    produce(*feed(100, first=2))
    held = [record for _ in range(20) for record in member.read(0.01)]
    member.resume()
    came += held + read(member, 100 * len(SYMBOLS) - len(held))

    assert held == []
    assert symbols(came) == {symbol: list(range(1, 102)) for symbol in SYMBOLS}
