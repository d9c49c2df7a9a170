import json

from hypothesis import given
from hypothesis import strategies as st

from feeds.feeder.trades.numbering import Numbering
from feeds.records import TopicEnd
from feeds.wire import decode
from tests.support.feeder.trades import BEGIN, trade


def test_an_update_has_the_four_keys_first_and_then_the_size():
    value = Numbering("BTC/USD", None, 42).encode(trade(1, price=150.12, size=0.5), late=False)

    expected = f'{{"symbol":"BTC/USD","price":150.12,"timestamp":{BEGIN + 1},"seq_id":42,"size":0.5}}'
    assert value == expected.encode()
    assert decode(value).seq_id == 42


def test_best_prices_follow_the_size():
    value = Numbering("X", None, 1).encode(trade(1), late=False, prices=(99.5, 100.5))
    assert list(json.loads(value)) == ["symbol", "price", "timestamp", "seq_id", "size", "bid", "ask"]


def test_a_new_symbol_starts_at_the_time_in_milliseconds_and_counts_on():
    numbering = Numbering("X", None, 1_766_480_000_000)
    numbers = [decode(numbering.encode(trade(number), late=False)).seq_id for number in (1, 2)]
    assert numbers == [1_766_480_000_000, 1_766_480_000_001]


def test_a_known_symbol_continues_number_and_time_separately():
    numbering = Numbering("X", TopicEnd(700, BEGIN + 50), 1)

    assert decode(numbering.encode(trade(9, time=40), late=False)).order == (BEGIN + 40, 701)
    assert decode(numbering.encode(trade(9, time=60), late=False)).order == (BEGIN + 60, 702)


def test_a_late_trade_keeps_its_own_time():
    numbering = Numbering("X", TopicEnd(1, BEGIN + 50), 1)
    assert decode(numbering.encode(trade(9, time=40), late=True)).timestamp == BEGIN + 40


def test_a_late_trade_never_becomes_the_newest():
    numbering = Numbering("X", TopicEnd(1, BEGIN + 50), 1)
    times = [decode(numbering.encode(trade(9, time=time), late=True)).timestamp for time in (50, 60)]
    assert times == [BEGIN + 49, BEGIN + 49]


def test_trades_of_one_moment_keep_their_time_and_order():
    numbering = Numbering("X", None, 1)
    updates = [decode(numbering.encode(trade(number, time=7), late=False)) for number in (1, 2)]
    assert updates[0].timestamp == updates[1].timestamp
    assert updates[0].order < updates[1].order


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=40))
def test_only_trades_that_are_not_late_become_the_newest_update(trades: list[tuple[int, bool]]):
    numbering, newest = Numbering("X", TopicEnd(0, BEGIN), 1), (BEGIN, 0)
    for number, (time, late) in enumerate(trades):
        update = decode(numbering.encode(trade(number, time=time), late))
        assert update.seq_id == number + 1
        if late:
            assert update.order < newest
        newest = max(newest, update.order)
