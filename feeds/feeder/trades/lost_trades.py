"""Remembers the lost trades of one symbol, and the times of the losses. Pure.

A trade is lost if it was missed and cannot be fetched. A missed span is a span of time in which trades were lost.
"""

from bisect import bisect
from collections.abc import Sequence

from feeds.feeder.trades.gaps import Gap, sequence_of
from feeds.feeder.trades.missing_ranges import MissingRanges
from feeds.records import Span, unite
from feeds.sources.events import Trade

MAX_LOST_RANGES = 1000
"""How many ranges of lost sequence numbers are remembered for each symbol."""


class LostTrades:
    """The lost trades of one symbol. `spans` are the missed spans that `take_spans` has not returned yet."""

    __slots__ = ("_numbers", "_open_since", "spans")

    def __init__(self) -> None:
        self._numbers = MissingRanges()
        self._open_since: int | None = None
        self.spans: tuple[Span, ...] = ()

    def add(self, gap: Gap, missing: MissingRanges, end: int | None, known: Sequence[Trade] = ()) -> int:
        """Moves the sequence numbers of a gap from `missing` to the lost numbers. Returns how many numbers were moved.

        `known` are the trades within the gap that have arrived. `end` is the time of the first trade after the gap;
        None if that trade has not arrived.
        """
        bounds = sequence_of(gap.after), sequence_of(gap.until)
        by_sequence = {sequence_of(trade): trade.timestamp for trade in known}
        numbers = sorted(by_sequence)
        for first, last in missing.between(*bounds):
            self._numbers.add(first, last)
            # A missed span reaches from the nearest known trade before the lost trades to the nearest one after them.
            before, after = bisect(numbers, first) - 1, bisect(numbers, last)
            begins_at = gap.after.timestamp if before < 0 else by_sequence[numbers[before]]
            self.add_span(begins_at, end if after == len(numbers) else by_sequence[numbers[after]])
        self._numbers.keep_highest(MAX_LOST_RANGES)
        return missing.remove_between(*bounds)

    def add_span(self, first: int, last: int | None) -> None:
        """Notes that trades between the times `first` and `last` are lost.

        If `last` is None, the span stays open until `end` is called.
        """
        if last is None:
            self._open_since = first if self._open_since is None else min(self._open_since, first)
        else:
            # The time of a late trade is before the time of the trade that precedes it.
            self.spans = unite([*self.spans, Span(min(first, last), max(first, last))])

    def end(self, timestamp: int) -> None:
        """Ends the open span at the time of a trade that has arrived. Does nothing if no span is open."""
        if self._open_since is not None:
            since, self._open_since = self._open_since, None
            self.add_span(since, timestamp)

    def remove(self, number: int) -> bool:
        """Removes the number of an arrived trade from the lost numbers. Returns whether the trade counted as lost."""
        return self._numbers.remove(number)

    def take_spans(self) -> tuple[Span, ...]:
        """Returns the missed spans that were found since the last call."""
        spans, self.spans = self.spans, ()
        return spans
