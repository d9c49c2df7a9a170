import asyncio
import json

import pytest
from structlog.testing import capture_logs

from feeds.errors import BrokerUnavailable
from feeds.feeder import publisher as module
from feeds.feeder.publisher import FREEZE_SECONDS, MAX_UNACKNOWLEDGED, STALL_SECONDS, Publisher
from feeds.feeder.trades.backlog import Backlog
from feeds.records import TopicEnd
from feeds.sources.events import Trade
from feeds.wire import MAX_AHEAD_US
from tests.support.feeder.source import TopicList
from tests.support.feeder.trades import BEGIN, trade


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def topic() -> TopicList:
    return TopicList()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def merged() -> list[tuple[str, list[Trade]]]:
    """What the publisher reports as merged."""
    return []


@pytest.fixture
def publisher(topic: TopicList, clock: Clock, merged: list) -> Publisher:
    """A publisher whose backlog takes ten trades, with the symbols A and B."""

    def note_merged(symbol: str, trades: list[Trade]) -> None:
        merged.append((symbol, trades))

    publisher = Publisher(topic, note_merged, Backlog(10), clock, now=lambda: BEGIN * 1000)
    publisher.open("A", "kraken", TopicEnd(5, BEGIN), can_fetch=True)
    publisher.open("B", "kraken", TopicEnd(5, BEGIN), can_fetch=False)
    return publisher


def live(*numbers: int) -> list[tuple[Trade, bool]]:
    return [(trade(number), False) for number in numbers]


def ids(topic: TopicList, symbol: str) -> list[int]:
    return [int(update["id"]) for update in topic.updates(symbol)]


def test_trades_are_sent_with_the_headers_source_and_id(publisher: Publisher, topic: TopicList):
    publisher.set_prices("A", (99.5, 100.5))
    publisher.add("A", live(1))
    publisher.pump()

    ((symbol, value, headers),) = topic.records
    assert (symbol, headers) == ("A", [("source", b"kraken"), ("id", "1")])
    assert json.loads(value) == {
        "symbol": "A",
        "price": 101.0,
        "timestamp": BEGIN + 1,
        "seq_id": 6,
        "size": 1.0,
        "bid": 99.5,
        "ask": 100.5,
    }


def test_a_trade_without_an_id_has_no_header_id(publisher: Publisher, topic: TopicList):
    publisher.add("A", [(Trade("A", 1.0, 1.0, BEGIN, ""), False)])
    publisher.pump()

    assert topic.records[0][2] == [("source", b"kraken")]


def test_a_symbol_that_is_not_open_is_ignored(publisher: Publisher, topic: TopicList):
    publisher.add("C", live(1))
    publisher.set_prices("C", None)
    publisher.pump()

    assert topic.records == []


def test_a_closed_symbol_loses_its_waiting_trades(publisher: Publisher, topic: TopicList):
    publisher.add("A", live(1))
    publisher.close(["A", "C"])
    publisher.pump()

    assert topic.records == []


def test_a_trade_that_every_processor_would_refuse_is_not_sent(publisher: Publisher, topic: TopicList):
    publisher.add("A", [(trade(1, time=MAX_AHEAD_US + 1), False), (trade(2, time=MAX_AHEAD_US), False)])
    publisher.pump()

    assert ids(topic, "A") == [2]
    assert publisher.ahead == 1


def test_while_kafka_acknowledges_nothing_trades_wait(
    publisher: Publisher, topic: TopicList, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "MAX_UNACKNOWLEDGED", 2)
    topic.is_stalled = True
    publisher.add("A", live(1, 2, 3))
    for _ in range(3):
        publisher.pump()
    assert ids(topic, "A") == [1, 2]

    topic.is_stalled = False
    publisher.pump()
    assert ids(topic, "A") == [1, 2, 3]
    assert publisher.delivered == 3


def test_after_a_long_stall_the_newest_of_each_symbol_comes_first(
    publisher: Publisher, topic: TopicList, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "MAX_UNACKNOWLEDGED", 1)
    topic.is_stalled = True
    publisher.add("A", live(1))
    publisher.pump()
    publisher.add("A", live(2, 3, 4))
    publisher.add("B", live(7, 8))
    for _ in range(3):
        clock.seconds += STALL_SECONDS / 2
        publisher.pump()
    monkeypatch.setattr(module, "MAX_UNACKNOWLEDGED", MAX_UNACKNOWLEDGED)
    topic.is_stalled = False
    publisher.pump()

    assert ids(topic, "A") == [1, 4, 2, 3]
    assert ids(topic, "B") == [8, 7]
    times = [update["timestamp"] - BEGIN for update in topic.updates("A")]
    assert times == [1, 4, 2, 3]
    assert [update["seq_id"] for update in topic.updates("A")] == [6, 7, 8, 9]


def test_beyond_the_limit_trades_are_merged_and_reported(
    publisher: Publisher, topic: TopicList, merged: list, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "MAX_UNACKNOWLEDGED", 0)
    publisher.add("A", live(*range(1, 7)))
    publisher.add("B", live(*range(1, 6)))
    publisher.pump()
    assert {symbol: [each.sequence for each in trades] for symbol, trades in merged} == {
        "A": [1, 2, 3, 4, 5],
        "B": [1, 2, 3, 4],
    }

    monkeypatch.setattr(module, "MAX_UNACKNOWLEDGED", 100)
    publisher.pump()
    assert [(update["id"], update["size"]) for update in topic.updates("A")] == [("6", 1.0)]
    assert [(update["id"], update["size"]) for update in topic.updates("B")] == [("5", 5.0)]


def test_after_a_pause_of_the_process_nothing_is_sent_until_the_symbols_are_claimed(
    publisher: Publisher, topic: TopicList, clock: Clock
):
    publisher.pump()
    publisher.add("A", live(1))
    clock.seconds += FREEZE_SECONDS + 0.1
    publisher.pump()
    publisher.pump()
    assert topic.records == []

    publisher.resume()
    publisher.pump()
    assert ids(topic, "A") == [1]


async def test_draining_waits_for_what_was_sent_before(publisher: Publisher, topic: TopicList):
    publisher.add("A", live(1))
    topic.is_stalled = True
    publisher.pump()
    topic.is_stalled = False

    await publisher.drain()
    assert publisher.delivered == 1


async def test_at_the_end_all_waiting_trades_can_be_sent(publisher: Publisher, topic: TopicList):
    publisher.add("A", live(1, 2))
    await publisher.send_waiting()

    assert ids(topic, "A") == [1, 2]


def test_an_update_that_cannot_be_queued_counts_as_failed(publisher: Publisher, topic: TopicList):
    def refuse(*_arguments: object) -> None:
        raise BrokerUnavailable("the producer queue stays full")

    topic.send = refuse
    publisher.add("A", live(1))
    with capture_logs():
        publisher.pump()

    assert publisher.failed == 1


async def test_the_trades_of_messages_that_are_ready_together_are_sent_by_one_call(
    publisher: Publisher, topic: TopicList
):
    for number in (1, 2, 3):
        publisher.add("A", live(number))
        publisher.pump_soon()
    assert (topic.records, topic.polls) == ([], 0)

    await asyncio.sleep(0)

    assert ids(topic, "A") == [1, 2, 3]
    assert topic.polls == 1
    publisher.add("A", live(4))
    publisher.pump_soon()
    await asyncio.sleep(0)
    assert ids(topic, "A") == [1, 2, 3, 4]
