"""Decides which trades of one symbol to publish, and in which order. Pure.

Repeats are dropped. Newer trades wait for a short time while missed trades are fetched.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from feeds.feeder.trades.backlog import Accepted
from feeds.feeder.trades.gaps import Counts, Gap, is_after, neighbour, sequence_of, with_sequence
from feeds.feeder.trades.known_trades import MAX_KNOWN, KnownTrades
from feeds.feeder.trades.lost_trades import LostTrades
from feeds.feeder.trades.missing_ranges import MissingRanges
from feeds.records import PublishedTrade
from feeds.sources.events import Trade

HOLD_SECONDS = 2.0
"""How long live trades wait for missed trades."""

MAX_HOLE = 100_000
"""If more sequence numbers are missing in a row, the numbers count as skipped by the source."""

ANNOUNCED_SECONDS = 1.0
"""How long to wait for a trade whose number the source has announced. After that, the trade counts as missed."""


class SymbolFeed:
    """Decides which trades of one symbol of one source to publish.

    `is_sequential` says whether a gap in the numbers `Trade.sequence` means missed trades. `can_fetch` says whether
    missed trades can be fetched. `published` are the symbol's last trades in the topic, in the order of the topic.
    Arguments named `now` are in seconds of a monotonic clock.
    """

    def __init__(
        self,
        native: str,
        is_sequential: bool,
        can_fetch: bool,
        counts: Counts,
        published: Sequence[PublishedTrade] = (),
        limit: int = MAX_KNOWN,
    ) -> None:
        self._native = native
        self._is_sequential = is_sequential
        self._can_fetch = can_fetch
        self._counts = counts
        self._known = KnownTrades(limit)
        self._missing = MissingRanges()
        self.lost = LostTrades()
        self._latest = 0
        self._newest: Trade | None = None
        self._published = 0
        self._held: list[Trade] = []
        self._held_until: float | None = None
        self._gaps: list[Gap] = []
        self._may_have_missed = False
        self._announced: tuple[int, float] | None = None
        self._resume(published)

    def receive(self, trades: Sequence[Trade], now: float) -> list[Accepted]:
        """Returns the trades to publish now. `trades` are the trades of one message, in the source's order."""
        if self._newest is None and trades[0].past:
            trades = self._start_with_newest(trades)
        accepted: list[Accepted] = []
        for trade in trades:
            if not trade.sets_price:
                self._counts.ignored += 1
            elif self._is_sequential and trade.sequence is not None:
                self._receive_sequential(trade, trade.sequence, now, accepted)
            else:
                self._receive_other(trade, now, accepted)
        return accepted

    def note_reconnected(self) -> None:
        """Notes that trades may be missing, because the connection was interrupted."""
        self._may_have_missed = self._newest is not None

    def announce(self, sequence: int, now: float) -> None:
        """Notes the sequence number that the source announced for the newest trade; 0 if the number is unknown."""
        newest = self._newest
        if sequence and newest is not None and newest.sequence is not None and sequence > newest.sequence:
            if self._announced is None:
                self._announced = sequence, now + ANNOUNCED_SECONDS
        else:
            self._announced = None

    def check(self, now: float) -> list[Accepted]:
        """Returns the trades that were held back long enough. Call this method several times a second."""
        if self._announced is not None and now >= self._announced[1]:
            self._open_announced_gap(self._announced[0])
        if self._held_until is not None and now >= self._held_until:
            return self._release()
        return []

    def take_gaps(self) -> list[Gap]:
        """Returns the gaps in the trades that were found since the last call."""
        gaps, self._gaps = self._gaps, []
        return gaps

    def fill(self, gap: Gap, trades: Iterable[Trade]) -> list[Accepted]:
        """Takes all trades that the source returned for a gap. Returns the trades to publish now."""
        found = list(trades)
        new = [trade for trade in found if self._accept_fetched(trade)]
        self._counts.fetched += len(new)
        if self._is_sequential:
            self._lose(gap, found)
        if self._held_until is None:
            return self._number(new, late=True)
        self._held[:0] = new
        return [] if self._missing else self._release()

    def give_up(self, gap: Gap) -> None:
        """Counts the trades of a gap as lost, because they cannot be fetched."""
        if self._is_sequential:
            self._lose(gap)
        else:
            self._counts.unfilled += max(gap.missing, 1)
            self.lost.add_span(gap.after.timestamp, gap.until.timestamp)

    def _lose(self, gap: Gap, known: Sequence[Trade] = ()) -> None:
        """Counts as lost the trades of a gap that have not arrived."""
        newest = self._newest
        has_ended = not gap.is_open or (newest is not None and sequence_of(newest) >= sequence_of(gap.until))
        end = (self._latest if gap.is_open else gap.until.timestamp) if has_ended else None
        self._counts.unfilled += self.lost.add(gap, self._missing, end, known)

    def note_merged(self, trades: Sequence[Trade]) -> None:
        """Opens a gap for trades that the publisher dropped. Trades that cannot be fetched count as lost instead."""
        self._counts.merged += len(trades)
        if not self._can_fetch:
            # The newest trade has the sum of all sizes, so that the bar of this trade is wrong too.
            self.lost.add_span(min(trade.timestamp for trade in trades), self._latest)
            return
        self._known.forget(trades)
        trades = sorted(trades, key=lambda trade: (sequence_of(trade), trade.timestamp))  # late trades are out of order
        first, last = trades[0], trades[-1]
        if first.sequence is not None:
            self._missing.add_each(trade.sequence for trade in trades if trade.sequence is not None)
        self._gaps.append(Gap(neighbour(first, -1), neighbour(last, 1), len(trades)))

    def _resume(self, published: Sequence[PublishedTrade]) -> None:
        """Continues after the trades `published`. Opens a gap for the sequence numbers missing between these trades."""
        trades = [self._read(old) for old in published]
        for trade in trades:
            self._known.add(trade)
        if not trades:
            return
        self._may_have_missed = True
        newest = max(trades, key=lambda trade: (trade.timestamp, trade.sequence or 0))
        by_sequence = {trade.sequence: trade for trade in trades if trade.sequence is not None}
        # The vendor's next trade may have an older time.
        while newest.sequence is not None and newest.sequence + 1 in by_sequence:
            newest = by_sequence[newest.sequence + 1]
        self._newest = newest
        self._latest = max(trade.timestamp for trade in trades)
        if newest.sequence is not None:
            numbers = sorted(number for number in by_sequence if number <= newest.sequence)
            self._published = numbers[-1]
            self._open_holes(numbers, by_sequence)

    def _read(self, old: PublishedTrade) -> Trade:
        sequence = int(old.id) if self._is_sequential and len(old.id) <= 18 and old.id.isdecimal() else None
        return Trade(self._native, old.price, 0.0, old.timestamp, old.id, sequence)

    def _open_holes(self, numbers: Sequence[int], trades: Mapping[int, Trade]) -> None:
        """Opens a gap for the sequence numbers that are missing between `numbers`."""
        for before, number in pairwise(numbers):
            if 1 < number - before <= MAX_HOLE:
                self._missing.add(before + 1, number - 1)
        if self._missing:
            first, last = self._missing.bounds
            self._add_gap(Gap(trades[first - 1], trades[last + 1], self._missing.size))

    def _start_with_newest(self, trades: Sequence[Trade]) -> Sequence[Trade]:
        """Returns `trades` with only the newest of the past trades. Past trades come from a snapshot of the source."""
        past = [trade for trade in trades if trade.past and trade.sets_price]
        if not past:
            return trades
        newest = past[0]
        for trade in past[1:]:
            newest = trade if is_after(trade, newest) else newest
        self._counts.past += len(past) - 1
        return [newest, *(trade for trade in trades if not trade.past)]

    def _receive_sequential(self, trade: Trade, sequence: int, now: float, accepted: list[Accepted]) -> None:
        newest = self._newest
        if not self._known.add(trade):
            self._counts.repeats += 1
            return
        if newest is None or newest.sequence is None:
            self._published = sequence
            self._advance(trade, accepted)
        elif sequence == newest.sequence + 1:
            self._advance(trade, accepted)
        elif sequence > newest.sequence:
            self._missing.add(newest.sequence + 1, sequence - 1)
            self._open_gap(newest, trade, sequence - newest.sequence - 1, now)
            self._advance(trade, accepted)
        else:
            self._receive_lower(trade, sequence, accepted)

    def _receive_lower(self, trade: Trade, sequence: int, accepted: list[Accepted]) -> None:
        """Handles a trade whose sequence number is not above the number of the newest trade."""
        if self._missing.remove(sequence):
            self._counts.fetched += 1
            if self._held_until is not None:
                self._held.append(trade)
                accepted += [] if self._missing else self._release()
            else:
                accepted += self._number([trade], late=True)
        elif trade.timestamp > self._latest:
            # The source's numbers have jumped back.
            self._counts.jumps += 1
            self._published = sequence
            self._advance(trade, accepted)
        elif self.lost.remove(sequence):
            accepted += self._number([trade], late=True)
        else:
            self._counts.repeats += 1
        self._latest = max(self._latest, trade.timestamp)

    def _receive_other(self, trade: Trade, now: float, accepted: list[Accepted]) -> None:
        """Handles a trade that has no sequence number, or whose number does not show missed trades."""
        newest = self._newest
        if not self._known.add(trade):
            self._counts.repeats += 1
            return
        may_have_missed = self._may_have_missed and self._can_fetch
        if may_have_missed and newest is not None and trade.timestamp > newest.timestamp:
            self._open_gap(newest, trade, 0, now)
        self._advance(trade, accepted)

    def _advance(self, trade: Trade, accepted: list[Accepted]) -> None:
        """Adds a new trade to `accepted`, or holds it back while missed trades are fetched."""
        if not (self._newest is not None and trade.sequence is None and trade.timestamp < self._newest.timestamp):
            self._newest = trade
        self._may_have_missed = False
        self._latest = max(self._latest, trade.timestamp)
        self.lost.end(trade.timestamp)
        if self._held_until is not None:
            self._held.append(trade)
        else:
            accepted += self._number([trade])

    def _open_gap(self, after: Trade, until: Trade, missing: int, now: float) -> None:
        """Notes a gap, and holds back newer trades while the missed trades are fetched."""
        if self._add_gap(Gap(after, until, missing)) and self._held_until is None:
            self._held_until = now + HOLD_SECONDS

    def _open_announced_gap(self, sequence: int) -> None:
        newest, self._announced = self._newest, None
        if newest is None or newest.sequence is None or sequence <= newest.sequence:
            return
        self._missing.add(newest.sequence + 1, sequence)
        self._newest = with_sequence(newest, sequence)
        self._add_gap(Gap(newest, with_sequence(newest, sequence + 1), sequence - newest.sequence, is_open=True))

    def _add_gap(self, gap: Gap) -> bool:
        self._counts.gaps += 1
        self._counts.missed += gap.missing
        if not self._can_fetch:
            self.give_up(gap)
            return False
        self._gaps.append(gap)
        return True

    def _accept_fetched(self, trade: Trade) -> bool:
        # The sequence number decides whether the trade is new: `_known` may have forgotten the trade.
        sequence = trade.sequence if self._is_sequential else None
        is_new = sequence is None or self._missing.remove(sequence) or self.lost.remove(sequence)
        if not (self._known.add(trade) and is_new):
            self._counts.repeats += 1
            return False
        self._latest = max(self._latest, trade.timestamp)
        if not trade.sets_price:
            self._counts.ignored += 1
        return trade.sets_price

    def _release(self) -> list[Accepted]:
        """Stops holding trades back. Returns the trades that were held back, in the source's order."""
        held, self._held, self._held_until = self._held, [], None
        if self._is_sequential:
            held.sort(key=sequence_of)
        return self._number(held)

    def _number(self, trades: Iterable[Trade], late: bool = False) -> list[Accepted]:
        """Pairs each trade with whether it is late. Trades without a sequence number are late if `late` is true."""
        accepted: list[Accepted] = []
        for trade in trades:
            sequence = trade.sequence
            if sequence is None:
                accepted.append((trade, late))
            else:
                accepted.append((trade, sequence < self._published))
                self._published = max(self._published, sequence)
        self._counts.trades += len(accepted)
        return accepted
