import os

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from stockwatch.serving.shared_counts import AllProcessesCollector, SharedCounts


@pytest.fixture
def memory():
    memory = SharedCounts.make_memory(3)
    yield memory
    os.close(memory)


@pytest.fixture
def make_board(memory, tmp_path):
    return lambda mine: SharedCounts(memory, str(tmp_path), slots=3, mine=mine)


class Process:
    """What one process counts."""

    def __init__(self, board):
        self.board = board
        self.sent = Counter("stockwatch_sent", "…", ["reason"], registry=None)
        self.fast = Gauge("stockwatch_fast_path", "…", registry=None)
        self.newest = Gauge("stockwatch_newest_timestamp_seconds", "…", registry=None)
        self.seconds = Histogram("stockwatch_seconds", "…", buckets=[1, 2], registry=None)
        self.everyone = AllProcessesCollector([self.sent, self.fast, self.newest, self.seconds], board)

    def keep(self):
        self.board.keep_metrics(self.everyone.collect_own())

    def lines(self):
        registry = CollectorRegistry()
        registry.register(self.everyone)
        return set(generate_latest(registry).decode().splitlines())


def test_a_process_learns_how_many_connections_the_others_have(make_board):
    first, second, third = (make_board(mine) for mine in range(3))
    assert first.note_connections(5) == 0
    assert second.note_connections(7) == 5
    assert third.note_connections(0) == 12
    assert first.note_connections(1) == 7


def test_any_process_shows_the_metrics_of_all(make_board):
    first, second = Process(make_board(0)), Process(make_board(1))
    first.sent.labels("a").inc(2)
    first.fast.set(1)
    first.newest.set(10)
    first.seconds.observe(0.5)
    second.sent.labels("a").inc(3)
    second.sent.labels("b").inc(4)
    second.newest.set(20)
    second.seconds.observe(1.5)
    second.keep()
    assert {
        'stockwatch_sent_total{reason="a"} 5.0',
        'stockwatch_sent_total{reason="b"} 4.0',
        "stockwatch_fast_path 0.0",
        "stockwatch_newest_timestamp_seconds 20.0",
        "stockwatch_seconds_count 2.0",
        'stockwatch_seconds_bucket{le="1.0"} 1.0',
    } <= first.lines()


def test_what_a_dead_process_counted_stays_and_what_it_measured_goes(make_board):
    first, dead = Process(make_board(0)), Process(make_board(1))
    dead.sent.labels("a").inc(3)
    dead.newest.set(20)
    dead.keep()
    reborn = Process(make_board(1))
    reborn.sent.labels("a").inc(1)
    reborn.keep()
    assert {'stockwatch_sent_total{reason="a"} 4.0', "stockwatch_newest_timestamp_seconds 0.0"} <= first.lines()
