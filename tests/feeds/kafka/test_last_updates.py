from time import monotonic

import pytest

from feeds.errors import BrokerUnavailable
from feeds.kafka import last_updates
from feeds.kafka.last_updates import LastUpdates
from feeds.kafka.producer import UpdateProducer
from feeds.records import PublishedTrade, TopicEnd
from feeds.wire import DAY_US, Update, encode
from stockwatch.local.redis_server import free_port
from tests.support.kafka.fixtures import Produce
from tests.support.times import at


def update(symbol: str, number: int) -> Update:
    return Update(symbol, 1.5, at(1000 + number), number)


def test_an_empty_topic_has_no_last_updates(kafka: str, topic: str):
    assert LastUpdates(kafka, topic, monotonic).read(["AAPL"]) == {}


def test_the_newest_update_of_each_symbol_is_found(kafka: str, topic: str, produce: Produce):
    produce(*(update(symbol, number) for number in range(20) for symbol in ("AAPL", "GOOG", "BRK.B")))

    found = LastUpdates(kafka, topic, monotonic).read(["AAPL", "BRK.B", "NEW"])
    assert found == {"AAPL": update("AAPL", 19), "BRK.B": update("BRK.B", 19)}


def test_the_newest_update_is_that_with_the_greatest_order(kafka: str, topic: str, produce: Produce):
    produce(update("AAPL", 7), Update("AAPL", 1.5, at(1), 1), (b"AAPL", b"poison"), (b"AAPL", None))

    assert LastUpdates(kafka, topic, monotonic).read(["AAPL"]) == {"AAPL": update("AAPL", 7)}


def test_a_record_with_the_key_of_another_symbol_is_not_continued(kafka: str, topic: str, produce: Produce):
    produce(update("AAPL", 7), update("GOOG", 7))
    produce((b"AAPL", encode(Update("GOOG", 9.9, at(9000), 2**53 - 1))), (None, encode(update("AAPL", 2**53 - 1))))

    last_updates = LastUpdates(kafka, topic, monotonic)
    assert last_updates.read(["AAPL", "GOOG"]) == {"AAPL": update("AAPL", 7), "GOOG": update("GOOG", 7)}
    assert {name: end.seq_id for name, end in last_updates.read_ends(["AAPL", "GOOG"]).items()} == {
        "AAPL": 7,
        "GOOG": 7,
    }


def test_the_greatest_seq_id_may_be_that_of_a_late_update(kafka: str, topic: str, produce: Produce):
    produce(Update("AAPL", 1.5, at(5), 5), Update("AAPL", 9.0, at(3), 6), Update("GOOG", 1.5, at(3), 6))
    produce(Update("GOOG", 2.5, at(5), 5))

    found = LastUpdates(kafka, topic, monotonic).read(["AAPL", "GOOG"])
    assert found == {"AAPL": Update("AAPL", 1.5, at(5), 6), "GOOG": Update("GOOG", 2.5, at(5), 6)}


def test_a_symbol_far_back_is_found_by_a_larger_window(
    kafka: str, topic: str, produce: Produce, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(last_updates, "WINDOWS", (10, 30, 100))
    produce(update("RARE", 1), *(update("AAPL", number) for number in range(60)))

    found = LastUpdates(kafka, topic, monotonic).read(["AAPL", "RARE"])
    assert found == {"AAPL": update("AAPL", 59), "RARE": update("RARE", 1)}


def test_records_beyond_the_largest_window_are_not_read(
    kafka: str, topic: str, produce: Produce, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(last_updates, "WINDOWS", (10, 30))
    # Both symbols have the same partition, so that one fills the window.
    produce(Update("OLD", 1.0, at(1), 1), *(update("AAPL", n) for n in range(60)))

    assert list(LastUpdates(kafka, topic, monotonic).read(["AAPL", "OLD"])) == ["AAPL"]


def test_without_a_broker_it_raises_a_transient_error(topic: str):
    with pytest.raises(BrokerUnavailable, match="cannot be read"):
        LastUpdates(f"127.0.0.1:{free_port()}", topic, monotonic, timeout=0.2).read(["AAPL"])


def test_a_read_that_takes_too_long_ends(kafka: str, topic: str, produce: Produce):
    produce(update("AAPL", 1))
    ticks = iter(range(0, 1000, 10))

    with pytest.raises(BrokerUnavailable, match="within 5 s"):
        LastUpdates(kafka, topic, lambda: next(ticks), timeout=5).read(["AAPL"])


def test_an_update_more_than_a_day_ahead_is_not_continued(kafka: str, topic: str, produce: Produce):
    now = at(50)
    produce(update("AAPL", 1), Update("AAPL", 1.5, now + DAY_US + 1, 2))
    produce(update("GOOG", 1), Update("GOOG", 1.5, now + DAY_US, 2))

    found = LastUpdates(kafka, topic, monotonic, now=lambda: now * 1000).read(["AAPL", "GOOG"])

    assert {symbol: each.seq_id for symbol, each in found.items()} == {"AAPL": 1, "GOOG": 2}


def send_trades(kafka: str, topic: str, *trades: tuple[Update, str]) -> None:
    """Sends updates with the headers of a trade."""
    producer = UpdateProducer(kafka, topic)
    for each, trade_id in trades:
        producer.send(each.symbol, encode(each), [("source", b"kraken"), ("id", trade_id)])
    assert producer.close(60) == 0


def test_the_end_of_a_symbol_names_number_time_and_trades(kafka: str, topic: str, produce: Produce):
    produce(update("AAPL", 1), update("GOOG", 5), (b"AAPL", b"poison"))
    send_trades(kafka, topic, (Update("AAPL", 2.5, at(900), 2), "71"), (Update("AAPL", 3.5, at(1200), 3), "72"))

    ends = LastUpdates(kafka, topic, monotonic).read_ends(["AAPL", "GOOG", "NEW"])
    trades = (PublishedTrade("kraken", "71", 2.5, at(900)), PublishedTrade("kraken", "72", 3.5, at(1200)))
    assert ends == {"AAPL": TopicEnd(3, at(1200), trades), "GOOG": TopicEnd(5, at(1005))}


def test_the_greatest_number_of_an_older_update_counts(kafka: str, topic: str, produce: Produce):
    produce(Update("AAPL", 1.5, at(20), 1), Update("AAPL", 2.5, at(10), 2))

    end = LastUpdates(kafka, topic, monotonic).read_ends(["AAPL"])["AAPL"]
    assert (end.seq_id, end.timestamp) == (2, at(20))
