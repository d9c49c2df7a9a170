from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.errors import BadRecord
from feeds.processor.partitions import choose_worker, split_records
from feeds.records import read_update
from feeds.store.batch import Batch
from feeds.wire import Update, encode
from tests.support.records import Record
from tests.support.times import at

LATEST = at(1_000_000)


def update(symbol: str = "AAPL", time: int = 1, number: int = 1) -> Update:
    return Update(symbol, 1.5, at(time), number)


def record(partition: int, offset: int, symbol: str = "AAPL") -> Record:
    return Record(symbol.encode(), encode(update(symbol, number=offset)), (partition, offset))


def encoded(*updates: Update) -> list[tuple[Update, bytes]]:
    return [(each, encode(each)) for each in updates]


def test_a_valid_record_gives_its_update():
    assert read_update(b"AAPL", encode(update()), LATEST) == update()


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        (b"AAPL", None, "null"),
        (None, encode(update()), "key"),
        (b"GOOG", encode(update()), "key"),
        (b"\xff", encode(update()), "key"),
        (b"AAPL", b"{}", "malformed"),
        (b"AAPL", encode(update(time=1_000_001)), "timestamp"),
    ],
)
def test_an_invalid_record_is_refused_with_its_kind(key: bytes | None, value: bytes | None, kind: str):
    with pytest.raises(BadRecord) as caught:
        read_update(key, value, LATEST)

    assert caught.value.kind == kind


def test_a_symbol_has_the_same_worker_in_every_process():
    assert [choose_worker(symbol, 10) for symbol in ("AAPL", "GOOG", "BRK.B", "^GSPC")] == [2, 2, 0, 8]


def test_symbols_spread_over_the_workers():
    progress = Counter(choose_worker(f"SYM{number}", 10) for number in range(1_000))

    assert len(progress) == 10
    assert max(progress.values()) < 2 * min(progress.values())


def test_records_are_split_by_partition_and_worker_in_order():
    partitions = split_records([record(0, 5), record(1, 9, "GOOG"), record(0, 6)], workers=4, latest=LATEST)

    updates = partitions[0].by_worker[choose_worker("AAPL", 4)]
    assert [update.seq_id for update, _value in updates] == [5, 6]
    assert partitions[0].next_offset == 7
    assert partitions[1].next_offset == 10
    assert sum(len(updates) for updates in partitions[1].by_worker) == 1


def test_the_bytes_of_a_value_stay_unchanged():
    body = b'{ "symbol":"AAPL", "price":1.50, "timestamp":%d, "seq_id":1, "venue":"X" }' % at(1)
    partitions = split_records([Record(b"AAPL", body, (0, 0))], workers=1, latest=LATEST)

    assert partitions[0].by_worker[0] == [(update(), body)]


def test_an_invalid_record_is_separated_from_the_updates():
    partitions = split_records([record(0, 1), Record(b"AAPL", b"no", (0, 2)), record(0, 3)], workers=1, latest=LATEST)

    assert [record.offset() for record, _error in partitions[0].invalid] == [2]
    assert len(partitions[0].by_worker[0]) == 2
    assert partitions[0].next_offset == 4


def test_the_produced_time_is_that_of_the_first_record():
    partitions = split_records([record(0, 5), record(1, 9), record(0, 6)], workers=1, latest=LATEST)

    assert (partitions[0].produced_ms, partitions[1].produced_ms) == (1_005, 1_009)


def test_no_records_give_no_partitions():
    assert split_records([], workers=3, latest=LATEST) == {}


def test_a_batch_keeps_all_updates_of_a_symbol_in_order():
    batch = Batch([encoded(update(number=1), update("GOOG")), encoded(update(number=2))])

    assert batch.by_symbol["AAPL"].values == [encode(update(number=1)), encode(update(number=2))]
    assert (batch.by_symbol["AAPL"].first, batch.by_symbol["AAPL"].last) == (update(number=1), update(number=2))
    assert (batch.size, batch.stale) == (3, 0)


def test_updates_that_are_stale_within_a_batch_are_dropped_and_counted():
    batch = Batch([encoded(update(time=5, number=5), update(time=4, number=9), update(time=5, number=5))])

    assert batch.by_symbol["AAPL"].values == [encode(update(time=5, number=5))]
    assert (batch.size, batch.stale) == (3, 2)


def test_an_empty_batch_has_no_symbols():
    assert Batch().by_symbol == {}


def test_the_oldest_timestamp_of_a_batch_is_that_of_its_oldest_update():
    assert Batch([encoded(update(time=7), update("GOOG", time=3), update(time=9))]).oldest_timestamp == at(3)


@given(st.lists(st.tuples(st.sampled_from(["A", "B"]), st.integers(0, 5), st.integers(0, 5)), max_size=30))
def test_the_updates_of_a_symbol_in_a_batch_ascend(rows: list[tuple[str, int, int]]):
    batch = Batch([encoded(*(update(*row) for row in rows))])

    kept = 0
    for symbol, updates in batch.by_symbol.items():
        greatest: list[tuple[int, int]] = []
        for row in rows:
            if row[0] == symbol and (not greatest or row[1:] > greatest[-1]):
                greatest.append(row[1:])
        assert updates.values == [encode(update(symbol, *order)) for order in greatest]
        assert updates.last.order == (at(greatest[-1][0]), greatest[-1][1])
        kept += len(greatest)
    assert kept + batch.stale == batch.size == len(rows)
