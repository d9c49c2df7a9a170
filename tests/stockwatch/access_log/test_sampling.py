from collections.abc import Callable

import pytest

from stockwatch.access_log import sampling
from stockwatch.access_log.sampling import Kind, LineSampler

KIND, OTHER = ("gateway", "closed"), ("gateway", "opened")


class Flood:
    """A sampler of two lines a second. A test sets its clock, and calls what it wants to call later."""

    def __init__(self, limit: int = 2) -> None:
        self.second = 100.0
        self.reported: list[tuple[Kind, int]] = []
        self.due: list[Callable[[], None]] = []
        self.sampler = LineSampler(
            limit,
            lambda kind, count: self.reported.append((kind, count)),
            lambda: self.second,
            lambda _seconds, call: self.due.append(call),
        )


def test_of_each_kind_the_first_lines_of_a_second_pass():
    flood = Flood()
    assert [flood.sampler.admit(KIND) for _ in range(4)] == [True, True, False, False]
    assert flood.sampler.admit(OTHER)
    flood.second += 1
    assert flood.sampler.admit(KIND)


def test_the_next_second_reports_once_what_was_left_out():
    flood = Flood()
    for _ in range(5):
        flood.sampler.admit(KIND)
    assert flood.reported == []
    flood.second += 1
    flood.sampler.admit(OTHER)
    flood.sampler.flush()
    assert flood.reported == [(KIND, 3)]


def test_what_was_left_out_is_reported_although_no_line_follows():
    flood = Flood()
    for _ in range(4):
        flood.sampler.admit(KIND)
    assert len(flood.due) == 1
    flood.due[0]()
    assert flood.reported == [(KIND, 2)]


def test_a_caller_can_ask_before_it_builds_a_line():
    flood = Flood()
    for _ in range(2):
        assert flood.sampler.has_room(KIND)
        assert flood.sampler.admit(KIND)
    assert not flood.sampler.has_room(KIND)
    flood.sampler.flush()
    assert flood.reported == [(KIND, 1)]


def test_a_limit_of_zero_lets_all_lines_pass():
    flood = Flood(limit=0)
    assert all(flood.sampler.admit(KIND) for _ in range(1000))
    assert flood.due == []


def test_if_there_are_too_many_kinds_the_further_ones_of_a_logger_share_one_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sampling, "MAX_KINDS", 3)
    flood = Flood(limit=1)
    passed = [flood.sampler.admit(("gateway", str(number))) for number in range(10)]
    assert passed == [True] * 4 + [False] * 6
    assert not flood.sampler.admit(("gateway", "0"))
    assert flood.sampler.admit(("processor", "10"))
    flood.second += 1
    assert flood.sampler.admit(("gateway", "9"))
    assert flood.reported == [(("gateway", sampling.FURTHER), 6), (("gateway", "0"), 1)]
