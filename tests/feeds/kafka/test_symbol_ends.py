from feeds.kafka.symbol_ends import MAX_ID_BYTES, MAX_TRADES, SymbolEnds
from feeds.records import PublishedTrade, TopicEnd
from feeds.wire import Update
from tests.support.times import at


def test_number_and_time_may_come_from_different_records():
    ends = SymbolEnds()
    ends.add(Update("A", 1.5, at(20), 1), {"source": b"kraken", "id": b"7"})
    ends.add(Update("A", 2.5, at(10), 2), {"source": "kraken", "id": "6"})

    trades = (PublishedTrade("kraken", "7", 1.5, at(20)), PublishedTrade("kraken", "6", 2.5, at(10)))
    assert ends.finish() == {"A": TopicEnd(2, at(20), trades)}


def test_a_record_without_usable_headers_gives_number_and_time_only():
    ends = SymbolEnds()
    for number, headers in enumerate(
        [{}, {"source": b"kraken"}, {"source": None, "id": b"1"}, {"source": b"k", "id": b"x" * (MAX_ID_BYTES + 1)}]
    ):
        ends.add(Update("A", 1.5, at(1), number), headers)

    assert ends.finish() == {"A": TopicEnd(3, at(1))}


def test_only_the_last_trades_are_kept():
    ends = SymbolEnds()
    for number in range(MAX_TRADES + 1):
        ends.add(Update("A", 1.5, at(1), number), {"source": b"kraken", "id": str(number)})

    trades = ends.finish()["A"].trades
    assert len(trades) == MAX_TRADES
    assert trades[0].id == "1"
