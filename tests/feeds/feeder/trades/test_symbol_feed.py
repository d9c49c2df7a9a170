from hypothesis import given
from hypothesis import strategies as st

from feeds.feeder.trades.gaps import Counts, Gap
from feeds.feeder.trades.symbol_feed import HOLD_SECONDS, SymbolFeed
from feeds.records import PublishedTrade
from tests.support.feeder.trades import BEGIN, trade, unnumbered


def make_feed(counts: Counts | None = None, *, sequential=True, can_fetch=True, published=(), limit=100) -> SymbolFeed:
    return SymbolFeed("X", sequential, can_fetch, counts or Counts(), published, limit)


def in_topic(*numbers: int, time: int | None = None) -> list[PublishedTrade]:
    """Trades at the end of the topic."""
    return [
        PublishedTrade("kraken", str(number), 100.0 + number, BEGIN + (number if time is None else time))
        for number in numbers
    ]


def numbers(accepted) -> list[int]:
    return [each.sequence for each, _late in accepted]


def marks(accepted) -> list[tuple[int, bool]]:
    return [(each.sequence, late) for each, late in accepted]


def bounds(gap: Gap) -> tuple[int, int, int]:
    return gap.after.sequence, gap.until.sequence, gap.missing


def test_trades_in_order_are_published_at_once():
    counts = Counts()
    feed = make_feed(counts)

    assert marks(feed.receive([trade(1), trade(2)], 0.0)) == [(1, False), (2, False)]
    assert numbers(feed.receive([trade(3)], 0.0)) == [3]
    assert feed.take_gaps() == []
    assert counts == Counts(trades=3)


def test_repeats_are_dropped_and_counted():
    counts = Counts()
    feed = make_feed(counts)
    feed.receive([trade(1), trade(2)], 0.0)

    assert feed.receive([trade(2), trade(1), trade(2)], 0.0) == []
    assert counts == Counts(trades=2, repeats=3)


def test_a_trade_that_must_not_set_the_price_is_ignored():
    counts = Counts()
    feed = make_feed(counts, sequential=False)

    assert feed.receive([unnumbered(1, sets_price=False)], 0.0) == []
    assert counts == Counts(ignored=1)


def test_an_unknown_symbol_starts_with_the_newest_past_trade():
    counts = Counts()
    feed = make_feed(counts)
    past = [trade(number, past=True) for number in (5, 7, 6)]

    assert numbers(feed.receive([*past, trade(8)], 0.0)) == [7, 8]
    assert counts.past == 2
    assert feed.receive(past, 0.0) == []
    assert counts.repeats == 3


def test_an_unknown_symbol_whose_past_trades_set_no_price_starts_with_the_first_live_one():
    feed = make_feed(sequential=False)
    first = unnumbered(1, past=True, sets_price=False)

    assert [each.id for each, _ in feed.receive([first, unnumbered(2)], 0.0)] == ["id-2"]


def test_live_trades_wait_for_missed_ones_and_then_all_are_in_order():
    counts = Counts()
    feed = make_feed(counts)
    feed.receive([trade(1)], 0.0)
    assert feed.receive([trade(4)], 10.0) == []
    assert feed.receive([trade(5)], 10.1) == []
    (gap,) = feed.take_gaps()
    assert bounds(gap) == (1, 4, 2)
    assert feed.take_gaps() == []

    assert marks(feed.fill(gap, [trade(2), trade(3)])) == [(n, False) for n in (2, 3, 4, 5)]
    assert numbers(feed.receive([trade(6)], 10.2)) == [6]
    assert counts == Counts(trades=6, gaps=1, missed=2, fetched=2)


def test_live_trades_wait_two_seconds_at_most_and_missed_ones_are_late_then():
    counts = Counts()
    feed = make_feed(counts)
    feed.receive([trade(1)], 0.0)
    feed.receive([trade(4)], 10.0)
    (gap,) = feed.take_gaps()

    assert feed.check(10.0 + HOLD_SECONDS - 0.01) == []
    assert marks(feed.check(10.0 + HOLD_SECONDS)) == [(4, False)]
    assert marks(feed.receive([trade(5)], 13.0)) == [(5, False)]
    assert marks(feed.fill(gap, [trade(3)])) == [(3, True)]
    assert (counts.fetched, counts.unfilled) == (1, 1)


def test_a_snapshot_that_holds_the_missed_trades_ends_the_wait():
    feed = make_feed()
    feed.receive([trade(1)], 0.0)
    feed.receive([trade(4)], 1.0)

    assert feed.receive([trade(2, past=True)], 1.1) == []
    assert marks(feed.receive([trade(3, past=True)], 1.1)) == [(n, False) for n in (2, 3, 4)]


def test_a_missed_trade_that_comes_after_the_wait_is_late():
    counts = Counts()
    feed = make_feed(counts)
    feed.receive([trade(1)], 0.0)
    feed.receive([trade(3)], 1.0)
    feed.check(9.0)

    assert marks(feed.receive([trade(2)], 10.0)) == [(2, True)]
    assert counts.fetched == 1


def test_a_second_gap_does_not_prolong_the_wait():
    feed = make_feed()
    feed.receive([trade(1)], 0.0)
    feed.receive([trade(3)], 10.0)
    feed.receive([trade(6)], 11.0)
    first, second = feed.take_gaps()

    assert feed.fill(first, [trade(2)]) == []
    assert numbers(feed.check(12.0)) == [2, 3, 6]
    assert marks(feed.fill(second, [trade(4), trade(5)])) == [(4, True), (5, True)]


def test_if_nothing_can_be_fetched_the_trades_are_lost_and_nothing_waits():
    counts = Counts()
    feed = make_feed(counts, can_fetch=False)
    feed.receive([trade(1)], 0.0)

    assert numbers(feed.receive([trade(4)], 0.0)) == [4]
    assert feed.take_gaps() == []
    assert counts == Counts(trades=2, gaps=1, missed=2, unfilled=2)


def test_a_gap_that_is_given_up_is_lost():
    counts = Counts()
    feed = make_feed(counts)
    feed.receive([trade(1)], 0.0)
    feed.receive([trade(4)], 0.0)
    (gap,) = feed.take_gaps()
    feed.give_up(gap)

    assert counts.unfilled == 2
    assert numbers(feed.check(HOLD_SECONDS)) == [4]


def spans(feed: SymbolFeed) -> list[tuple[int, int]]:
    """Takes the missed spans of a feed. The times are in microseconds after BEGIN."""
    return [(first - BEGIN, last - BEGIN) for first, last in feed.lost.take_spans()]


def test_lost_trades_leave_a_missed_span():
    feed = make_feed()
    feed.receive([trade(1)], 0.0)
    feed.receive([trade(4)], 0.0)
    (gap,) = feed.take_gaps()
    assert spans(feed) == []
    feed.give_up(gap)
    assert spans(feed) == [(1, 4)]


def test_trades_that_the_source_does_not_have_leave_a_missed_span_between_their_neighbours():
    feed = make_feed()
    feed.receive([trade(1)], 0.0)
    feed.receive([trade(9)], 0.0)
    (gap,) = feed.take_gaps()
    feed.fill(gap, [trade(number) for number in (2, 3, 6, 7, 8)])
    assert spans(feed) == [(3, 6)]


def test_an_announced_trade_that_is_lost_leaves_a_span_up_to_the_next_trade():
    feed = make_feed()
    feed.receive([trade(1)], 0.0)
    feed.announce(3, 0.0)
    feed.check(1.0)
    (gap,) = feed.take_gaps()
    feed.give_up(gap)
    assert spans(feed) == []
    feed.receive([trade(4, time=70)], 2.0)
    assert spans(feed) == [(1, 70)]


def test_an_announced_trade_that_is_lost_after_the_next_trade_leaves_a_span_up_to_the_newest_trade():
    feed = make_feed()
    feed.receive([trade(1)], 0.0)
    feed.announce(3, 0.0)
    feed.check(1.0)
    (gap,) = feed.take_gaps()
    feed.receive([trade(4, time=70)], 2.0)
    feed.give_up(gap)
    assert spans(feed) == [(1, 70)]


def test_a_gap_of_a_source_without_numbers_that_is_given_up_leaves_a_missed_span():
    feed = make_feed(sequential=False)
    feed.receive([unnumbered(1)], 0.0)
    feed.note_reconnected()
    feed.receive([unnumbered(5)], 1.0)
    (gap,) = feed.take_gaps()
    feed.give_up(gap)
    assert spans(feed) == [(1, 5)]


def test_merged_trades_that_cannot_be_fetched_leave_a_span_up_to_the_trade_that_has_their_sizes():
    feed = make_feed(can_fetch=False)
    trades = [trade(number) for number in (1, 2, 3, 4)]
    feed.receive(trades, 0.0)
    feed.note_merged([trades[2], trades[1]])
    assert spans(feed) == [(2, 4)]


def test_fetched_repeats_are_dropped():
    counts = Counts()
    feed = make_feed(counts)
    feed.receive([trade(1)], 0.0)
    feed.receive([trade(3)], 0.0)
    (gap,) = feed.take_gaps()

    assert numbers(feed.fill(gap, [trade(1), trade(2), trade(3)])) == [2, 3]
    assert counts.repeats == 2


def test_a_fetched_trade_that_came_otherwise_and_is_forgotten_is_a_repeat():
    counts = Counts()
    feed = make_feed(counts, limit=2)
    feed.receive([trade(1)], 0.0)
    feed.receive([trade(5)], 0.0)
    (gap,) = feed.take_gaps()
    feed.check(10.0)
    assert marks(feed.receive([trade(3)], 10.0)) == [(3, True)]
    feed.receive([trade(number) for number in range(6, 10)], 10.0)

    assert numbers(feed.fill(gap, [trade(2), trade(3), trade(4)])) == [2, 4]
    assert counts.repeats == 1


def test_many_fetched_trades_do_not_make_the_feed_publish_a_trade_twice():
    counts = Counts()
    feed = make_feed(counts, limit=3)
    feed.receive([trade(1)], 0.0)
    feed.receive([trade(8), trade(9)], 0.0)
    (gap,) = feed.take_gaps()
    feed.check(10.0)
    feed.fill(gap, [trade(number) for number in range(2, 8)])

    assert feed.receive([trade(8), trade(9)], 10.0) == []
    assert counts.repeats == 2


def test_a_forgotten_repeat_with_a_later_time_than_the_newest_trade_is_no_jump():
    counts = Counts()
    feed = make_feed(counts, limit=2)
    feed.receive([trade(1), trade(2, time=900), trade(3, time=400), trade(4, time=500)], 0.0)

    assert feed.receive([trade(2, time=900)], 0.0) == []
    assert (counts.jumps, counts.repeats) == (0, 1)


def test_numbers_that_go_back_are_a_jump_and_nothing_is_lost():
    counts = Counts()
    feed = make_feed(counts)
    feed.receive([trade(500), trade(501)], 0.0)

    assert marks(feed.receive([trade(7, time=600), trade(8, time=601)], 0.0)) == [(7, False), (8, False)]
    assert counts == Counts(trades=4, jumps=1)


def test_an_old_trade_that_was_never_seen_is_late():
    feed = make_feed()
    feed.receive([trade(1), trade(2), trade(3)], 0.0)
    feed.receive([trade(7)], 1.0)
    (gap,) = feed.take_gaps()
    feed.fill(gap, [])

    assert marks(feed.receive([trade(5)], 2.0)) == [(5, True)]


def test_an_old_trade_beyond_the_memory_is_a_repeat():
    counts = Counts()
    feed = make_feed(counts, limit=2)
    feed.receive([trade(number) for number in range(1, 9)], 0.0)

    assert feed.receive([trade(3)], 0.0) == []
    assert counts.repeats == 1


def test_a_number_that_the_source_announces_and_that_does_not_come_is_fetched():
    counts = Counts()
    feed = make_feed(counts)
    feed.announce(9, 0.0)  # nothing is known yet
    feed.receive([trade(1)], 0.0)
    feed.announce(0, 0.0)
    feed.announce(1, 0.0)
    assert feed.check(100.0) == []
    assert feed.take_gaps() == []

    feed.announce(3, 100.0)
    feed.announce(4, 100.5)
    feed.check(100.9)
    assert feed.take_gaps() == []
    feed.check(101.0)
    (gap,) = feed.take_gaps()
    assert bounds(gap) == (1, 4, 2)
    assert marks(feed.fill(gap, [trade(2), trade(3)])) == [(2, False), (3, False)]
    assert numbers(feed.receive([trade(4)], 102.0)) == [4]


def test_an_announced_number_that_comes_in_time_is_no_gap():
    feed = make_feed()
    feed.receive([trade(1)], 0.0)
    feed.announce(2, 0.0)
    feed.receive([trade(2)], 0.5)
    feed.check(2.0)

    assert feed.take_gaps() == []


def test_after_a_reconnect_a_source_without_numbers_is_asked_for_missed_trades():
    counts = Counts()
    feed = make_feed(counts, sequential=False)
    feed.note_reconnected()  # nothing was received yet, so nothing can be missed
    feed.receive([unnumbered(1)], 0.0)
    assert feed.take_gaps() == []

    feed.note_reconnected()
    assert feed.receive([unnumbered(5)], 1.0) == []
    assert feed.receive([unnumbered(5)], 1.0) == []
    (gap,) = feed.take_gaps()
    assert (gap.after.id, gap.until.id, gap.missing) == ("id-1", "id-5", 0)
    accepted = feed.fill(gap, [unnumbered(2), unnumbered(3, sets_price=False)])
    assert [(each.id, late) for each, late in accepted] == [("id-2", False), ("id-5", False)]
    assert (counts.ignored, counts.repeats) == (1, 1)
    feed.give_up(gap)
    assert counts.unfilled == 1


def test_trades_without_numbers_that_are_fetched_too_late_are_late():
    feed = make_feed(sequential=False)
    feed.receive([unnumbered(1)], 0.0)
    feed.note_reconnected()
    feed.receive([unnumbered(5)], 1.0)
    (gap,) = feed.take_gaps()
    feed.check(3.0)

    assert [(each.id, late) for each, late in feed.fill(gap, [unnumbered(2)])] == [("id-2", True)]


def test_an_older_trade_after_a_reconnect_shows_no_gap():
    feed = make_feed(sequential=False)
    feed.receive([unnumbered(5)], 0.0)
    feed.note_reconnected()

    assert [each.id for each, _ in feed.receive([unnumbered(3)], 1.0)] == ["id-3"]
    assert feed.take_gaps() == []


def test_a_restart_knows_the_trades_of_the_topic():
    counts = Counts()
    feed = make_feed(counts, published=in_topic(1, 2, 3))

    assert numbers(feed.receive([trade(2, past=True), trade(3, past=True), trade(4)], 0.0)) == [4]
    assert counts == Counts(trades=1, repeats=2)


def test_a_restart_fetches_what_was_missed_meanwhile():
    feed = make_feed(published=in_topic(1, 2))

    assert feed.receive([trade(6)], 0.0) == []
    assert [bounds(gap) for gap in feed.take_gaps()] == [(2, 6, 3)]


def test_a_restart_fetches_the_holes_that_the_last_process_left():
    counts = Counts()
    feed = make_feed(counts, published=in_topic(1, 2, 5, 6, 9))
    (gap,) = feed.take_gaps()

    assert bounds(gap) == (2, 9, 4)
    assert counts.missed == 4
    assert marks(feed.fill(gap, [trade(n) for n in (3, 4, 7, 8)])) == [(n, True) for n in (3, 4, 7, 8)]


def test_holes_that_the_last_process_left_are_fetched_from_the_time_at_which_they_begin():
    feed = make_feed(published=[*in_topic(1, time=10), *in_topic(4, time=500), *in_topic(5, time=900)])
    (gap,) = feed.take_gaps()

    assert (gap.after.timestamp, gap.until.timestamp) == (BEGIN + 10, BEGIN + 500)


def test_a_restart_continues_after_the_newest_number_even_if_its_time_is_older():
    feed = make_feed(published=[*in_topic(7), *in_topic(8, time=2)])

    assert numbers(feed.receive([trade(9)], 0.0)) == [9]
    assert feed.take_gaps() == []


def test_a_restart_ignores_a_hole_that_is_a_jump_of_the_source():
    feed = make_feed(published=[*in_topic(1_000_000, time=1), *in_topic(7, 8, time=5)])

    assert feed.take_gaps() == []
    assert numbers(feed.receive([trade(9)], 0.0)) == [9]


def test_a_restart_of_a_source_without_numbers_asks_for_missed_trades():
    published = [PublishedTrade("alpaca", "id-1", 101.0, BEGIN + 1)]
    feed = make_feed(sequential=False, published=published)

    assert feed.receive([unnumbered(1)], 0.0) == []
    assert feed.receive([unnumbered(4)], 0.0) == []
    assert [gap.after.id for gap in feed.take_gaps()] == ["id-1"]


def test_an_id_of_the_topic_that_is_no_number_has_no_sequence():
    published = [PublishedTrade("kraken", "²", 1.0, BEGIN)]
    feed = make_feed(published=published)

    assert numbers(feed.receive([trade(4)], 0.0)) == [4]


def test_merged_trades_are_fetched_later():
    counts = Counts()
    feed = make_feed(counts)
    trades = [trade(number) for number in range(1, 6)]
    feed.receive(trades, 0.0)
    feed.note_merged(trades[1:4])
    (gap,) = feed.take_gaps()

    assert bounds(gap) == (1, 5, 3)
    assert counts.merged == 3
    assert marks(feed.fill(gap, trades[1:4])) == [(2, True), (3, True), (4, True)]


def test_late_trades_among_the_merged_ones_are_fetched_too():
    feed = make_feed()
    trades = [trade(number) for number in range(1, 8)]
    feed.receive(trades, 0.0)
    feed.note_merged([trades[4], trades[1], trades[2], trades[5]])
    (gap,) = feed.take_gaps()

    assert bounds(gap) == (1, 7, 4)
    assert numbers(feed.fill(gap, trades[1:6])) == [2, 3, 5, 6]


def test_merged_trades_without_numbers_are_fetched_by_time():
    feed = make_feed(sequential=False)
    trades = [unnumbered(number) for number in (1, 2, 3)]
    feed.receive(trades, 0.0)
    feed.note_merged(trades[:2])
    (gap,) = feed.take_gaps()

    assert (gap.after.timestamp, gap.until.timestamp) == (BEGIN, BEGIN + 3)
    assert [late for _, late in feed.fill(gap, trades[:2])] == [True, True]


def test_merged_trades_that_cannot_be_fetched_are_only_counted():
    counts = Counts()
    feed = make_feed(counts, can_fetch=False)
    feed.receive([trade(1), trade(2)], 0.0)
    feed.note_merged([trade(1)])

    assert feed.take_gaps() == []
    assert counts.merged == 1


def test_past_trades_without_numbers_are_compared_by_time():
    feed = make_feed(sequential=False)
    past = [unnumbered(1, time=5, past=True), unnumbered(2, time=3, past=True)]

    assert [each.id for each, _ in feed.receive(past, 0.0)] == ["id-1"]


class Model:
    """An exchange that answers requests some steps later, and a topic that keeps what is published."""

    def __init__(self, steps_to_answer: int) -> None:
        self.made = [trade(1)]
        self.topic = []
        self.feed = make_feed()
        self._steps_to_answer = steps_to_answer
        self._asked: list[tuple[Gap, int]] = []
        self._steps = 0
        self.publish(self.feed.receive(self.made, 0.0))

    @property
    def now(self) -> float:
        return self._steps * 0.3

    def publish(self, accepted) -> None:
        self.topic.extend(accepted)
        self._asked += [(gap, self._steps + self._steps_to_answer) for gap in self.feed.take_gaps()]

    def act(self, step: str) -> None:
        self._steps += 1
        getattr(self, step)()

    def send(self) -> None:
        self.lose()
        self.repeat(1)

    def lose(self) -> None:
        self.made.append(trade(len(self.made) + 1))

    def repeat(self, count: int = 3) -> None:
        self.publish(self.feed.receive(self.made[-count:], self.now))

    def cut(self) -> None:
        self.feed.note_reconnected()

    def check(self) -> None:
        self.publish(self.feed.check(self.now))

    def answer(self) -> None:
        due = [entry for entry in self._asked if entry[1] <= self._steps]
        self._asked = [entry for entry in self._asked if entry not in due]
        for gap, _ in due:
            between = range(gap.after.sequence + 1, gap.until.sequence)
            self.publish(self.feed.fill(gap, [each for each in self.made if each.sequence in between]))

    def restart(self) -> None:
        ends = [PublishedTrade("kraken", each.id, each.price, each.timestamp) for each, _ in self.topic]
        self.feed, self._asked = make_feed(published=ends), []
        self.publish([])

    def finish(self) -> None:
        self.act("send")
        while self._asked:
            self.act("answer")
        self._steps += 1 + int(HOLD_SECONDS / 0.3)
        self.check()


@given(
    st.lists(st.sampled_from(["send", "lose", "cut", "repeat", "answer", "check", "restart"]), max_size=60),
    st.integers(0, 3),
)
def test_each_trade_is_published_once_whatever_is_lost_or_repeated(steps: list[str], steps_to_answer: int):
    model = Model(steps_to_answer)
    for step in steps:
        model.act(step)
    model.finish()

    assert sorted(numbers(model.topic)) == [each.sequence for each in model.made]
    newest = 0
    for number, late in marks(model.topic):
        assert late == (number < newest)
        newest = max(newest, number)
