from collections import Counter
from random import Random

import pytest

from feeds.kafka.dead_letter_topic import read_dead_letters
from feeds.wire import Update
from tests.support.kafka.pipeline import Pipeline
from tests.support.kafka.traffic import SYMBOLS
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kafka

GOOD = b'{"symbol":"AAPL","price":1.5,"timestamp":%d,"seq_id":1}'
POISON: list[tuple[bytes | None, bytes | None]] = [
    (b"AAPL", b"\xff\xfe\x00"),
    (b"AAPL", b"not JSON"),
    (b"AAPL", b'{"symbol":"AAPL","price":"1.5","timestamp":1,"seq_id":1}'),
    (b"AAPL", b'{"symbol":"AAPL","price":NaN,"timestamp":1,"seq_id":1}'),
    (b"AAPL", b'{"symbol":"AAPL","price":-1,"timestamp":1,"seq_id":1}'),
    (b"AAPL", b'{"symbol":"AAPL","price":1.5,"timestamp":1}'),
    (b"AAPL", b"[]"),
    (b"AAPL", None),
    (None, GOOD % 2),
    (b"GOOG", GOOD % 2),
]


def test_a_hundred_poisoned_records_among_ten_thousand_are_put_aside_and_block_nobody(line: Pipeline, chance: Random):
    line.make_topic()
    feed = line.feed()
    processor = line.processor(KAFKA_DLQ_TOPIC=f"{line.topic}.dlq")
    poison = POISON * 9 + [(b"AAPL", b"x" * 1_000_000)] * 10
    chance.shuffle(poison)
    places = set(chance.sample(range(10_000), len(poison)))
    for number in range(10_000):
        if number in places:
            feed.raw(*poison.pop())
        else:
            feed.put(Update(SYMBOLS[number % len(SYMBOLS)], 1.5, 1 + number, 1 + number))
    feed.end()

    report = line.settle()
    assert (report.due, report.published, report.faults) == (9_900, 9_900, {})
    wait_until(lambda: line.committed() == 10_000, 60, "a commit of all")
    letters = list(read_dead_letters(line.brokers.addresses, f"{line.topic}.dlq"))
    assert len(letters) == 100
    assert processor.counted("stockwatch_processor_dead_letters_total") == 100
    places_of = [letter.origin[1:] for letter in letters]
    assert places_of == sorted(places_of)
    assert Counter(letter.cut for letter in letters)[True] == 10
    assert processor.stop() == 0
