from feeds.feeder.trades.gaps import Gap
from feeds.feeder.trades.lost_trades import LostTrades
from feeds.feeder.trades.missing_ranges import MissingRanges
from feeds.records import Span
from tests.support.feeder.trades import BEGIN, trade


def missing(*ranges: tuple[int, int]) -> MissingRanges:
    numbers = MissingRanges()
    for first, last in ranges:
        numbers.add(first, last)
    return numbers


def span(first: int, last: int) -> Span:
    """Returns a span; the times are in microseconds after BEGIN."""
    return Span(BEGIN + first, BEGIN + last)


GAP = Gap(trade(1), trade(9), 7)


def test_the_numbers_of_a_gap_are_lost_and_the_span_is_that_of_the_gap():
    lost, numbers = LostTrades(), missing((2, 8), (20, 21))
    assert lost.add(GAP, numbers, BEGIN + 9) == 7
    assert numbers.bounds == (20, 21)
    assert lost.take_spans() == (span(1, 9),)
    assert lost.take_spans() == ()
    assert (lost.remove(5), lost.remove(5), lost.remove(20)) == (True, False, False)


def test_known_trades_within_the_gap_make_the_spans_shorter():
    lost = LostTrades()
    assert lost.add(GAP, missing((2, 2), (5, 6), (8, 8)), BEGIN + 9, [trade(7), trade(4), trade(3)]) == 4
    assert lost.take_spans() == (span(1, 3), span(4, 9))


def test_a_gap_whose_trades_all_came_has_no_span():
    lost = LostTrades()
    assert lost.add(GAP, missing(), BEGIN + 9) == 0
    assert lost.spans == ()


def test_a_span_without_an_end_ends_with_the_next_trade():
    lost = LostTrades()
    lost.end(BEGIN + 5)
    lost.add(GAP, missing((2, 8)), None)
    lost.add_span(BEGIN + 20, None)
    lost.add_span(BEGIN, None)
    assert lost.spans == ()
    lost.end(BEGIN + 30)
    lost.end(BEGIN + 40)
    assert lost.take_spans() == (span(0, 30),)


def test_a_span_whose_end_is_before_its_begin_is_turned():
    lost = LostTrades()
    lost.add_span(BEGIN + 9, BEGIN + 2)
    assert lost.spans == (span(2, 9),)
