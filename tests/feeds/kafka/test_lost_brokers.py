import threading
from collections.abc import Collection

import pytest
from structlog.testing import capture_logs

from feeds.kafka import lost_brokers
from feeds.kafka.inspection import ClusterState
from feeds.kafka.lost_brokers import LEAVE_AGAIN_SECONDS, QUIET_SECONDS, LostBrokerSearch, confirm_lost, find_lost
from stockwatch.local.redis_server import free_port
from tests.support.waiting import wait_until

ALL = frozenset({"k1:1", "k2:1", "k3:1"})
WHOLE = ClusterState(3, False, {}, ALL)
REST = ClusterState(2, False, {}, ALL - {"k3:1"})
VIEWS = {"k1:1": REST, "k2:1": REST, "k3:1": WHOLE}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Look:
    """Finds the brokers in `lost`, and counts its calls."""

    def __init__(self, *lost: str) -> None:
        self.lost = lost
        self.calls = 0

    def __call__(self, addresses: Collection[str]) -> Collection[str]:
        self.calls += 1
        return self.lost


@pytest.fixture
def clock() -> Clock:
    return Clock()


def search_once(search: LostBrokerSearch, clock: Clock, seconds: float = QUIET_SECONDS) -> str:
    """Lets the time pass until a search is due. Returns what was found."""
    clock.now += seconds
    search.find_others()
    assert search._thread is not None
    search._thread.join()
    return search.find_others()


def test_a_broker_that_another_broker_does_not_count_is_lost():
    assert find_lost(VIEWS) == {"k3:1": ["k1:1", "k2:1"]}
    assert find_lost({"k1:1": REST, "k2:1": REST}) == {}
    assert find_lost(dict.fromkeys(ALL, WHOLE)) == {}


def test_a_broker_that_advertises_another_address_is_not_lost():
    assert find_lost({"kafka.example:1": WHOLE, "k2:1": WHOLE}) == {}


def test_a_broker_that_is_back_after_a_second_look_is_not_lost(monkeypatch: pytest.MonkeyPatch):
    answers = [VIEWS, dict.fromkeys(ALL, WHOLE), VIEWS, VIEWS]
    monkeypatch.setattr(lost_brokers, "CONFIRM_SECONDS", 0)
    monkeypatch.setattr(lost_brokers, "read_views", lambda _addresses, _timeout: answers.pop(0))
    assert confirm_lost(sorted(ALL)) == set()
    assert confirm_lost(sorted(ALL)) == {"k3:1"}


def test_silent_brokers_are_left_out_and_a_whole_cluster_has_no_lost_broker(kafka: str):
    addresses = [*kafka.split(","), f"127.0.0.1:{free_port()}"]
    assert sorted(lost_brokers.read_views(addresses, 1.0)) == sorted(kafka.split(","))
    assert confirm_lost(addresses) == {}


def test_the_other_brokers_are_named_when_nothing_was_read_for_a_while(clock: Clock):
    look = Look("k3:1")
    search = LostBrokerSearch("k1:1,k2:1,k3:1", look, clock)
    clock.now += QUIET_SECONDS - 1
    assert search.find_others() == ""
    search.note_read()
    clock.now += QUIET_SECONDS - 1
    assert search.find_others() == ""
    assert look.calls == 0
    with capture_logs() as lines:
        assert search_once(search, clock) == "k1:1,k2:1"
    assert [line["brokers"] for line in lines] == [["k3:1"]]


def test_a_record_that_arrives_during_a_search_makes_its_result_void(clock: Clock):
    search = LostBrokerSearch("k1:1,k2:1,k3:1", Look("k3:1"), clock)
    clock.now += QUIET_SECONDS
    search.find_others()
    wait_until(lambda: search._found)
    search.note_read()
    assert search.find_others() == ""


def test_the_same_lost_broker_is_left_again_only_after_a_minute(clock: Clock):
    search = LostBrokerSearch("k1:1,k2:1,k3:1", Look("k3:1"), clock)
    assert search_once(search, clock) == "k1:1,k2:1"
    assert search_once(search, clock) == ""
    assert search_once(search, clock, LEAVE_AGAIN_SECONDS) == "k1:1,k2:1"


def test_nothing_is_looked_for_with_one_broker_and_nothing_is_named_if_all_are_lost(clock: Clock):
    one = LostBrokerSearch("k1:1", look := Look("k1:1"), clock)
    clock.now += QUIET_SECONDS
    assert one.find_others() == ""
    assert look.calls == 0
    both = LostBrokerSearch("k1:1,k2:1", Look("k1:1", "k2:1"), clock)
    assert search_once(both, clock) == ""


def test_no_second_search_begins_before_the_first_one_has_ended(clock: Clock):
    held = threading.Event()

    def hold(_addresses: Collection[str]) -> Collection[str]:
        assert held.wait(60)
        return ()

    search = LostBrokerSearch("k1:1,k2:1", hold, clock)
    clock.now += QUIET_SECONDS
    search.find_others()
    first = search._thread
    clock.now += QUIET_SECONDS
    search.find_others()
    assert search._thread is first
    held.set()
