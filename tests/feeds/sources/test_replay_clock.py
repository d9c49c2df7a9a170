from math import inf

from feeds.sources.events import Trade
from feeds.sources.replay import ReplayTrade
from feeds.sources.replay_clock import GAP_US, ReplayClock, schedule

NOW = 1_790_000_000_000_000
PAST = 1_767_571_200_000_000
SECOND = 1_000_000


def past_trades(*seconds: int) -> list[ReplayTrade]:
    return [ReplayTrade("A", PAST + second * SECOND, 1.0 + place, 2.0) for place, second in enumerate(seconds)]


def test_a_pass_is_moved_to_now_and_keeps_its_distances():
    assert list(schedule(past_trades(0, 1, 3), 1, NOW)) == [
        (NOW, Trade("A", 1.0, 2.0, NOW, f"{NOW}:0")),
        (NOW + SECOND, Trade("A", 2.0, 2.0, NOW + SECOND, f"{NOW}:1")),
        (NOW + 3 * SECOND, Trade("A", 3.0, 2.0, NOW + 3 * SECOND, f"{NOW}:2")),
    ]


def test_a_speed_of_sixty_makes_a_minute_a_second():
    assert [due - NOW for due, _ in schedule(past_trades(0, 60, 90), 60, NOW)] == [0, SECOND, SECOND * 3 // 2]


def test_a_late_trade_comes_in_its_place_with_its_own_older_time():
    events = list(schedule(past_trades(0, 5, 2, 6), 1, NOW))

    assert [(due - NOW) // SECOND for due, _ in events] == [0, 5, 5, 6]
    assert [(trade.timestamp - NOW) // SECOND for _, trade in events] == [0, 5, 2, 6]


def test_only_trades_that_are_due_are_taken():
    clock = ReplayClock(past_trades(0, 1, 3), 1, NOW)

    assert clock.take(NOW - 1) == []
    assert [trade.price for trade in clock.take(NOW + SECOND)] == [1.0, 2.0]
    assert clock.next_due == NOW + 3 * SECOND
    assert [trade.price for trade in clock.take(NOW + 3 * SECOND)] == [3.0]
    assert clock.next_due is None
    assert clock.take(NOW + 9 * SECOND) == []


def test_at_most_the_limit_is_taken():
    clock = ReplayClock(past_trades(0, 0, 0), 1, NOW)

    assert [len(clock.take(NOW, limit=2)) for _ in range(3)] == [2, 1, 0]


def test_a_loop_begins_again_after_a_gap_with_other_ids():
    clock = ReplayClock(past_trades(0, 2), 1, NOW, is_loop=True)
    first = clock.take(NOW + 2 * SECOND)

    assert clock.next_due == NOW + 2 * SECOND + GAP_US
    second = clock.take(NOW + 2 * SECOND + GAP_US)
    assert [trade.price for trade in second] == [1.0]
    assert {trade.id for trade in first}.isdisjoint(trade.id for trade in second)


def test_a_loop_that_was_not_asked_for_long_begins_its_next_pass_now():
    clock = ReplayClock(past_trades(0, 2), 1, NOW, is_loop=True)

    assert len(clock.take(NOW + 3600 * SECOND)) == 3
    assert clock.next_due == NOW + 3602 * SECOND


def test_the_greatest_speed_makes_all_trades_due_at_once_with_the_time_of_now():
    clock = ReplayClock(past_trades(0, 60, 3600), inf, NOW)

    assert [trade.timestamp for trade in clock.take(NOW + 5, limit=2)] == [NOW + 5, NOW + 5]
    assert [trade.timestamp for trade in clock.take(NOW + 3)] == [NOW + 5], "a clock that goes back"
    assert clock.next_due is None


def test_a_loop_at_the_greatest_speed_waits_between_two_passes():
    clock = ReplayClock(past_trades(0, 60), inf, NOW, is_loop=True)

    assert len(clock.take(NOW)) == 2
    assert clock.next_due == NOW + GAP_US
