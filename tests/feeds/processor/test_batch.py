from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.errors import BadRecord
from feeds.processor.batch import Batch, route, sort
from feeds.records import read_update
from feeds.wire import Update, encode


@dataclass
class Record:
    """A record as Kafka's client hands it over."""

    at: tuple[int, int]
    symbol: bytes | None
    body: bytes | None

    def key(self) -> bytes | None:
        return self.symbol

    def value(self) -> bytes | None:
        return self.body

    def partition(self) -> int:
        return self.at[0]

    def offset(self) -> int:
        return self.at[1]

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_000 + self.at[1]


def update(symbol: str = "AAPL", time: int = 1, number: int = 1) -> Update:
    return Update(symbol, 1.5, time, number)


def record(partition: int, offset: int, symbol: str = "AAPL") -> Record:
    return Record((partition, offset), symbol.encode(), encode(update(symbol, number=offset)))


def quotes(*updates: Update) -> list[tuple[Update, bytes]]:
    return [(each, encode(each)) for each in updates]


def test_a_record_is_checked_into_its_update():
    assert read_update(b"AAPL", encode(update())) == update()


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        (b"AAPL", None, "null"),
        (None, encode(update()), "key"),
        (b"GOOG", encode(update()), "key"),
        (b"\xff", encode(update()), "key"),
        (b"AAPL", b"{}", "malformed"),
    ],
)
def test_a_record_that_can_never_be_written_says_why(key: bytes | None, value: bytes | None, kind: str):
    with pytest.raises(BadRecord) as caught:
        read_update(key, value)

    assert caught.value.kind == kind


def test_a_symbol_has_the_same_worker_in_every_process():
    assert [route(symbol, 10) for symbol in ("AAPL", "GOOG", "BRK.B", "^GSPC")] == [2, 2, 0, 8]


def test_symbols_spread_over_the_workers():
    loads = Counter(route(f"SYM{number}", 10) for number in range(1_000))

    assert len(loads) == 10
    assert max(loads.values()) < 2 * min(loads.values())


def test_records_are_dealt_by_partition_and_worker_in_their_order():
    dealt = sort([record(0, 5), record(1, 9, "GOOG"), record(0, 6)], workers=4)

    shares = dealt[0].shares[route("AAPL", 4)]
    assert [quote[0].seq_id for quote in shares] == [5, 6]
    assert dealt[0].next_offset == 7
    assert dealt[1].next_offset == 10
    assert sum(len(share) for share in dealt[1].shares) == 1


def test_the_bytes_of_a_value_are_carried_along_unchanged():
    body = b'{ "symbol":"AAPL", "price":1.50, "timestamp":1, "seq_id":1, "venue":"X" }'
    dealt = sort([Record((0, 0), b"AAPL", body)], workers=1)

    assert dealt[0].shares[0] == [(update(), body)]


def test_a_bad_record_is_named_by_its_offset_and_the_rest_flows():
    dealt = sort([record(0, 1), Record((0, 2), b"AAPL", b"no"), record(0, 3)], workers=1)

    assert [record.offset() for record, _error in dealt[0].bad] == [2]
    assert len(dealt[0].shares[0]) == 2
    assert dealt[0].next_offset == 4


def test_a_share_is_as_old_as_its_first_record():
    dealt = sort([record(0, 5), record(1, 9), record(0, 6)], workers=1)

    assert (dealt[0].produced, dealt[1].produced) == (1_005, 1_009)


def test_nothing_read_is_nothing_dealt():
    assert sort([], workers=3) == {}


def test_a_batch_keeps_all_updates_of_a_symbol_in_order():
    batch = Batch([quotes(update(number=1), update("GOOG")), quotes(update(number=2))])

    assert batch.series["AAPL"].values == [encode(update(number=1)), encode(update(number=2))]
    assert (batch.series["AAPL"].first, batch.series["AAPL"].last) == (update(number=1), update(number=2))
    assert (batch.size, batch.stale) == (3, 0)


def test_what_is_not_newer_within_a_batch_is_left_out_and_counted():
    batch = Batch([quotes(update(time=5, number=5), update(time=4, number=9), update(time=5, number=5))])

    assert batch.series["AAPL"].values == [encode(update(time=5, number=5))]
    assert (batch.size, batch.stale) == (3, 2)


def test_an_empty_batch_has_no_series():
    assert Batch().series == {}


def test_the_age_of_a_batch_is_that_of_its_oldest_update():
    assert Batch([quotes(update(time=7), update("GOOG", time=3), update(time=9))]).oldest == 3


@given(st.lists(st.tuples(st.sampled_from(["A", "B"]), st.integers(0, 5), st.integers(0, 5)), max_size=30))
def test_what_a_batch_keeps_of_a_symbol_always_grows(rows: list[tuple[str, int, int]]):
    batch = Batch([quotes(*(update(*row) for row in rows))])

    kept = 0
    for symbol, series in batch.series.items():
        greatest: list[tuple[int, int]] = []
        for row in rows:
            if row[0] == symbol and (not greatest or row[1:] > greatest[-1]):
                greatest.append(row[1:])
        assert series.values == [encode(update(symbol, *order)) for order in greatest]
        assert series.last.order == greatest[-1]
        kept += len(greatest)
    assert kept + batch.stale == batch.size == len(rows)
