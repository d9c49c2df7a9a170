from collections import Counter
from random import Random

import pytest

from feeds.kafka.dead_letter_topic import read_dead_letters
from feeds.wire import Update
from tests.support.kafka.pipeline import Pipeline
from tests.support.kafka.traffic import SYMBOLS
from tests.support.times import at
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kafka

VALID = b'{"symbol":"AAPL","price":1.5,"timestamp":%d,"seq_id":1}'
INVALID: list[tuple[bytes | None, bytes | None]] = [
    (b"AAPL", b"\xff\xfe\x00"),
    (b"AAPL", b"not JSON"),
    (b"AAPL", b'{"symbol":"AAPL","price":"1.5","timestamp":1766480000000000,"seq_id":1}'),
    (b"AAPL", b'{"symbol":"AAPL","price":NaN,"timestamp":1766480000000000,"seq_id":1}'),
    (b"AAPL", b'{"symbol":"AAPL","price":-1,"timestamp":1766480000000000,"seq_id":1}'),
    (b"AAPL", b'{"symbol":"AAPL","price":1.5,"timestamp":1766480000000000}'),
    (b"AAPL", b"[]"),
    (b"AAPL", None),
    (None, VALID % at(2)),
    (b"GOOG", VALID % at(2)),
]


def test_a_hundred_invalid_records_among_ten_thousand_become_dead_letters_and_block_no_update(
    pipeline: Pipeline, rng: Random
):
    pipeline.create_topic()
    feed = pipeline.feed()
    processor = pipeline.processor(KAFKA_DLQ_TOPIC=f"{pipeline.topic}.dlq")
    invalid = INVALID * 9 + [(b"AAPL", b"x" * 1_000_000)] * 10
    rng.shuffle(invalid)
    positions = set(rng.sample(range(10_000), len(invalid)))
    for number in range(10_000):
        if number in positions:
            feed.send_record(*invalid.pop())
        else:
            feed.send_update(Update(SYMBOLS[number % len(SYMBOLS)], 1.5, at(1 + number), 1 + number))
    feed.finish()

    report = pipeline.settle()
    assert (report.due, report.published, report.faults) == (9_900, 9_900, {})
    wait_until(lambda: pipeline.committed() == 10_000, 60, "a commit of all records")
    dead_letters = list(read_dead_letters(pipeline.brokers.addresses, f"{pipeline.topic}.dlq"))
    assert len(dead_letters) == 100
    assert processor.metric("stockwatch_processor_dead_letters_total") == 100
    origins = [each.origin[1:] for each in dead_letters]
    assert origins == sorted(origins)
    assert Counter(each.truncated for each in dead_letters)[True] == 10
    assert processor.stop() == 0
