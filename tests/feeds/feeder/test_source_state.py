from collections.abc import Callable

import pytest

from feeds.feeder.network.source_state import SourceStateTracker
from feeds.sources.events import SourceState

Step = Callable[[SourceStateTracker], None]


def subscribed(tracker: SourceStateTracker) -> None:
    tracker.note_subscribed(2)


def data(tracker: SourceStateTracker) -> None:
    tracker.note_data(3)


def silent(tracker: SourceStateTracker) -> None:
    tracker.note_silent("no message", 4)


def lost(tracker: SourceStateTracker) -> None:
    tracker.note_lost("cut", 5)


def refused(tracker: SourceStateTracker) -> None:
    tracker.note_refused("bad key", 6)


def maintenance(tracker: SourceStateTracker) -> None:
    tracker.announce(SourceState.MAINTENANCE, "upgrade", 7)


def online(tracker: SourceStateTracker) -> None:
    tracker.announce(SourceState.CONNECTED, "", 8)


CASES: list[tuple[list[Step], str, str]] = [
    ([], "reconnecting", "starting"),
    ([online], "reconnecting", "starting"),
    ([subscribed], "connected", ""),
    ([data], "reconnecting", "starting"),
    ([subscribed, silent, data], "silent", "no message"),
    ([subscribed, silent], "silent", "no message"),
    ([subscribed, silent, subscribed], "silent", "no message"),
    ([subscribed, silent, subscribed, data], "connected", ""),
    ([subscribed, lost], "reconnecting", "cut"),
    ([subscribed, lost, subscribed], "connected", ""),
    ([refused], "refused", "bad key"),
    ([refused, data], "refused", "bad key"),
    ([refused, subscribed], "connected", ""),
    ([maintenance], "maintenance", "upgrade"),
    ([maintenance, subscribed, data], "maintenance", "upgrade"),
    ([maintenance, online], "connected", ""),
    ([subscribed, maintenance, lost], "reconnecting", "cut"),
    ([subscribed, maintenance, lost, subscribed], "connected", ""),
    ([subscribed, online], "connected", ""),
]


@pytest.mark.parametrize(("steps", "state", "reason"), CASES)
def test_the_state_follows_what_happens(steps: list[Step], state: str, reason: str):
    tracker = SourceStateTracker(1)
    for step in steps:
        step(tracker)
    assert (tracker.state.value, tracker.reason) == (state, reason)
    assert tracker.is_connected == (state == "connected")


def test_the_time_of_a_state_is_that_of_its_begin():
    tracker = SourceStateTracker(1)
    tracker.note_lost("first", 2)
    assert tracker.since == 1
    tracker.note_silent("then", 3)
    tracker.note_silent("again", 4)
    assert (tracker.since, tracker.reason) == (3, "again")
