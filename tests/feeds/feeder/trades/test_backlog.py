from hypothesis import given
from hypothesis import strategies as st

from feeds.feeder.trades.backlog import Backlog
from tests.support.feeder.trades import trade


def accepted(*numbers: int, late: bool = False):
    return [(trade(number), late) for number in numbers]


def taken(backlog: Backlog, limit: int = 1000) -> list[tuple[str, list[int], list[bool]]]:
    """Symbol, numbers and marks of what is taken."""
    return [
        (symbol, [each.sequence for each, _ in trades], [late for _, late in trades])
        for symbol, trades in backlog.take(limit)
    ]


def test_trades_leave_in_order_and_by_symbol():
    backlog = Backlog()
    backlog.add("A", accepted(1, 2))
    backlog.add("B", accepted(3))
    backlog.add("A", accepted(4))

    assert len(backlog) == 4
    assert taken(backlog) == [("A", [1, 2, 4], [False] * 3), ("B", [3], [False])]
    assert len(backlog) == 0


def test_a_symbol_whose_trades_do_not_fit_is_the_last_one_next_time():
    backlog = Backlog()
    backlog.add("A", accepted(1, 2, 3))
    backlog.add("B", accepted(4))

    assert taken(backlog, 2) == [("A", [1, 2], [False, False])]
    assert taken(backlog, 2) == [("B", [4], [False]), ("A", [3], [False])]
    assert taken(backlog, 2) == []


def test_the_newest_of_each_symbol_can_go_first_and_the_others_are_late():
    backlog = Backlog()
    backlog.add("A", accepted(1, 2, 3))
    backlog.add("B", accepted(5))
    backlog.add("C", [*accepted(7, 8), *accepted(6, late=True)])
    backlog.put_newest_first()

    assert len(backlog) == 7
    assert taken(backlog, 1) == [("A", [3], [False])]
    assert taken(backlog) == [
        ("B", [5], [False]),
        ("C", [8], [False]),
        ("A", [1, 2], [True, True]),
        ("C", [7, 6], [True, True]),
    ]


def test_a_second_stall_puts_the_newest_of_all_first():
    backlog = Backlog()
    backlog.add("A", accepted(1, 2))
    backlog.put_newest_first()
    backlog.add("A", accepted(3))
    backlog.put_newest_first()

    assert taken(backlog) == [("A", [3], [False]), ("A", [2, 1], [True, True])]


def test_a_trade_that_would_leave_first_can_be_merged_or_dropped():
    backlog = Backlog()
    backlog.add("A", accepted(1, 2))
    backlog.put_newest_first()
    assert [each.sequence for each in backlog.reduce([])["A"]] == [1]
    assert taken(backlog) == [("A", [2], [False])]

    backlog.add("A", accepted(3, 4))
    backlog.put_newest_first()
    assert backlog.drop("A") == 2
    assert len(backlog) == 0


def test_if_all_trades_are_late_the_last_one_stays_late():
    backlog = Backlog()
    backlog.add("A", accepted(1, 2, late=True))
    backlog.put_newest_first()

    assert taken(backlog) == [("A", [2], [True]), ("A", [1], [True])]


def test_beyond_the_limit_only_the_newest_of_each_symbol_stays():
    backlog = Backlog(max_trades=4)
    backlog.add("A", accepted(1, 2, 3))
    backlog.add("B", accepted(4))
    assert not backlog.is_full
    backlog.add("B", accepted(5))
    assert backlog.is_full

    removed = backlog.reduce(summed=["B"])

    assert {symbol: [each.sequence for each in trades] for symbol, trades in removed.items()} == {"A": [1, 2], "B": [4]}
    assert len(backlog) == 2
    assert [(symbol, trades[0][0].sequence, trades[0][0].size) for symbol, trades in backlog.take(9)] == [
        ("A", 3, 1.0),
        ("B", 5, 2.0),
    ]


def test_a_symbol_with_one_trade_loses_nothing():
    backlog = Backlog(max_trades=0)
    backlog.add("A", accepted(1))

    assert backlog.reduce([]) == {}
    assert len(backlog) == 1


def test_the_trades_of_a_symbol_can_be_dropped():
    backlog = Backlog()
    backlog.add("A", accepted(1, 2))
    backlog.add("B", accepted(3))

    assert backlog.drop("A") == 2
    assert backlog.drop("UNKNOWN") == 0
    assert len(backlog) == 1


def test_a_backlog_is_low_up_to_a_quarter_of_its_limit():
    backlog = Backlog(max_trades=8)
    backlog.add("A", accepted(1, 2))
    assert backlog.is_low
    backlog.add("A", accepted(3))
    assert not backlog.is_low


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(1, 5), st.integers(1, 7)), max_size=30))
def test_each_trade_leaves_once_and_in_the_order_of_its_symbol(steps: list[tuple[str, int, int]]):
    backlog, number = Backlog(), 0
    added: dict[str, list[int]] = {}
    left: dict[str, list[int]] = {}
    for symbol, count, limit in steps:
        numbers = list(range(number, number + count))
        number += count
        added.setdefault(symbol, []).extend(numbers)
        backlog.add(symbol, accepted(*numbers))
        for name, sequences, _marks in taken(backlog, limit):
            left.setdefault(name, []).extend(sequences)
    for name, sequences, _marks in taken(backlog, 1000):
        left.setdefault(name, []).extend(sequences)
    assert left == added
