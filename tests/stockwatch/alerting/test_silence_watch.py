import pytest

from feeds.store.feed_state import FeedState
from stockwatch.alerting.silence_watch import SilenceWatch
from tests.support.alerting.evaluation import NOON, MemoryDatabase, alert, update_at
from watchlist.alert_kinds import Kind, Repeat
from watchlist.alerts.evaluator import Evaluator

CONNECTED = FeedState("connected", "", 0, 0)


class Sight:
    """A silence watch whose clock, ownership and sources a test sets."""

    def __init__(self, source: str) -> None:
        record = alert(Kind.NO_PRICE, 0.0, window_seconds=60, repeat=Repeat.EACH)
        self.evaluator: Evaluator = MemoryDatabase([record]).restart()
        self.evaluator.apply(update_at(100, 0), source)
        self.second, self.owned, self.states = 0.0, True, {"kraken": CONNECTED}
        self.has_read = False
        self.watch = SilenceWatch(
            self.evaluator,
            lambda _symbol: self.owned,
            lambda: self.states,
            lambda: NOON / 1e6 + self.second,
            lambda _symbol: self.has_read,
        )

    def fires_at(self, second: float) -> bool:
        self.second = second
        self.watch.check()
        return bool(self.evaluator.take_changes()[1])


@pytest.mark.parametrize("source", ["simulated", "kraken"])
def test_an_alert_fires_after_its_time_without_an_update(source: str):
    sight = Sight(source)
    assert [sight.fires_at(second) for second in (1, 60.9, 61, 62)] == [False, False, True, False]


@pytest.mark.parametrize(
    "state",
    [None, FeedState("silent", "", 0, 0), FeedState("connected", "", 0, 0, {"closed": ["AAPL"]})],
)
def test_the_time_begins_again_when_the_source_is_connected_and_the_market_open(state: FeedState | None):
    sight = Sight("kraken")
    assert not sight.fires_at(1)
    sight.states = {} if state is None else {"kraken": state}
    assert not sight.fires_at(500)
    sight.states = {"kraken": CONNECTED}
    assert [sight.fires_at(second) for second in (600, 659, 660)] == [False, False, True]


def test_another_engine_fires_the_alerts_of_its_symbols():
    sight = Sight("simulated")
    sight.owned = False
    assert not sight.fires_at(500)


def test_the_time_begins_again_when_the_engine_has_caught_up():
    sight = Sight("simulated")
    assert not sight.fires_at(1)
    sight.watch.reset()
    assert [sight.fires_at(second) for second in (100, 159, 160)] == [False, False, True]


@pytest.mark.parametrize(("source", "fires"), [("simulated", True), ("kraken", False)])
def test_the_time_of_a_simulated_symbol_counts_from_its_last_update_when_all_was_read(source: str, fires: bool):
    sight = Sight(source)
    assert not sight.fires_at(70)
    sight.has_read = True
    assert sight.fires_at(71) is fires


def test_without_alerts_on_missing_prices_no_source_is_read():
    evaluator = MemoryDatabase([alert()]).restart()
    SilenceWatch(evaluator, lambda _symbol: True, lambda: 1 / 0, lambda: 0.0).check()
    assert evaluator.find_silent() == {}
