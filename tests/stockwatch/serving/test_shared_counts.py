import os

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from structlog.testing import capture_logs

from stockwatch.serving.shared_counts import AllProcessesCollector, LabelledCollector, SharedCounts


@pytest.fixture
def memory():
    memory = SharedCounts.create_memory(3)
    yield memory
    os.close(memory)


@pytest.fixture
def make_counts(memory, tmp_path):
    return lambda slot: SharedCounts(memory, str(tmp_path), slots=3, slot=slot)


class Process:
    """The metrics of one process."""

    def __init__(self, shared_counts):
        self.shared_counts = shared_counts
        self.sent = Counter("stockwatch_sent", "…", ["reason"], registry=None)
        self.fast = Gauge("stockwatch_fast_path", "…", registry=None)
        self.newest = Gauge("stockwatch_newest_timestamp_seconds", "…", registry=None)
        self.seconds = Histogram("stockwatch_seconds", "…", buckets=[1, 2], registry=None)
        self.by_route = Histogram("stockwatch_route_seconds", "…", ["route"], buckets=[1], registry=None)
        self.cpu = Counter("process_cpu_seconds", "…", registry=None)
        self.memory = Gauge("process_resident_memory_bytes", "…", registry=None)
        labelled = [LabelledCollector(each, "process", str(shared_counts.slot)) for each in (self.cpu, self.memory)]
        own = [self.sent, self.fast, self.newest, self.seconds, self.by_route, *labelled]
        self.all_processes = AllProcessesCollector(own, shared_counts)

    def store(self):
        self.shared_counts.store_metrics(self.all_processes.collect_own())

    def lines(self):
        registry = CollectorRegistry()
        registry.register(self.all_processes)
        return set(generate_latest(registry).decode().splitlines())


def test_setting_connections_returns_the_sum_of_the_other_processes(make_counts):
    first, second, third = (make_counts(slot) for slot in range(3))
    assert first.set_connections(5) == 0
    assert second.set_connections(7) == 5
    assert third.set_connections(0) == 12
    assert first.set_connections(1) == 7


def test_counting_an_address_returns_its_count_in_the_other_processes(make_counts):
    first, second, third = (make_counts(slot) for slot in range(3))
    assert first.note_address("sockets", "192.0.2.1", 1) == 0
    assert first.note_address("sockets", "192.0.2.1", 1) == 0
    assert second.note_address("sockets", "192.0.2.1", 1) == 2
    assert third.note_address("sockets", "192.0.2.1", 0) == 3
    assert third.note_address("http", "192.0.2.1", 0) == 0
    assert third.note_address("sockets", "192.0.2.2", 0) == 0
    first.note_address("sockets", "192.0.2.1", -1)
    assert third.note_address("sockets", "192.0.2.1", 0) == 2


def test_the_counts_of_a_dead_process_end_when_it_is_replaced(make_counts):
    first, dead = make_counts(0), make_counts(1)
    dead.note_address("sockets", "192.0.2.1", 1)
    first.note_address("sockets", "192.0.2.1", 1)
    successor = make_counts(1)
    assert first.note_address("sockets", "192.0.2.1", 0) == 0
    assert successor.note_address("sockets", "192.0.2.1", 0) == 1


def test_any_process_shows_the_metrics_of_all(make_counts):
    first, second = Process(make_counts(0)), Process(make_counts(1))
    first.sent.labels("a").inc(2)
    first.fast.set(1)
    first.newest.set(10)
    first.seconds.observe(0.5)
    second.sent.labels("a").inc(3)
    second.sent.labels("b").inc(4)
    second.newest.set(20)
    second.seconds.observe(1.5)
    second.store()
    assert {
        'stockwatch_sent_total{reason="a"} 5.0',
        'stockwatch_sent_total{reason="b"} 4.0',
        "stockwatch_fast_path 0.0",
        "stockwatch_newest_timestamp_seconds 20.0",
        "stockwatch_seconds_count 2.0",
        'stockwatch_seconds_bucket{le="1.0"} 1.0',
    } <= first.lines()


def test_counters_of_a_dead_process_are_kept_and_gauges_are_not(make_counts):
    first, dead = Process(make_counts(0)), Process(make_counts(1))
    dead.sent.labels("a").inc(3)
    dead.newest.set(20)
    dead.store()
    successor = Process(make_counts(1))
    successor.sent.labels("a").inc(1)
    successor.store()
    assert {'stockwatch_sent_total{reason="a"} 4.0', "stockwatch_newest_timestamp_seconds 0.0"} <= first.lines()


def test_the_counters_of_all_dead_processes_are_kept_in_the_file_of_their_successor(make_counts, tmp_path):
    first = Process(make_counts(0))
    for _ in range(3):
        dead = Process(make_counts(1))
        dead.sent.labels("a").inc(2)
        dead.seconds.observe(0.5)
        dead.store()
    sums = {'stockwatch_sent_total{reason="a"} 6.0', 'stockwatch_seconds_bucket{le="1.0"} 3.0'}
    assert sums <= first.lines()
    successor = Process(make_counts(1))
    assert sums <= first.lines()
    assert sums <= successor.lines()
    successor.store()
    size = (tmp_path / "1.json").stat().st_size
    Process(make_counts(1)).store()
    assert (tmp_path / "1.json").stat().st_size == size
    assert [path.name for path in tmp_path.iterdir()] == ["1.json"]


def test_each_process_has_a_sample_of_its_own_under_its_number(make_counts):
    first, second = Process(make_counts(0)), Process(make_counts(1))
    first.cpu.inc(7)
    first.memory.set(100)
    second.cpu.inc(5)
    second.memory.set(200)
    second.store()
    assert {
        'process_cpu_seconds_total{process="0"} 7.0',
        'process_cpu_seconds_total{process="1"} 5.0',
        'process_resident_memory_bytes{process="0"} 100.0',
        'process_resident_memory_bytes{process="1"} 200.0',
    } <= first.lines()


def test_the_cpu_time_under_a_number_never_decreases_when_its_process_is_replaced(make_counts):
    first, dead = Process(make_counts(0)), Process(make_counts(1))
    dead.cpu.inc(5)
    dead.memory.set(200)
    dead.store()
    successor = Process(make_counts(1))
    successor.cpu.inc(1)
    successor.store()
    expected = {'process_cpu_seconds_total{process="1"} 6.0', 'process_resident_memory_bytes{process="1"} 0.0'}
    assert expected <= first.lines()
    assert expected <= successor.lines()


def test_a_histogram_that_only_another_process_has_observed_is_complete(make_counts):
    first, second = Process(make_counts(0)), Process(make_counts(1))
    second.by_route.labels("/").observe(0.5)
    second.store()
    assert {
        'stockwatch_route_seconds_bucket{le="1.0",route="/"} 1.0',
        'stockwatch_route_seconds_bucket{le="+Inf",route="/"} 1.0',
        'stockwatch_route_seconds_count{route="/"} 1.0',
        'stockwatch_route_seconds_sum{route="/"} 0.5',
    } <= first.lines()


def test_times_of_creation_are_not_added_up(make_counts):
    first, second = Process(make_counts(0)), Process(make_counts(1))
    second.store()
    assert [line for line in first.lines() if "_created" in line] == []


def test_a_gauge_may_be_true_or_false(make_counts):
    first, second = make_counts(0), make_counts(1)
    gauge = Metric("stockwatch_fast_path", "…", "gauge")
    gauge.add_sample("stockwatch_fast_path", {}, True)
    first.store_metrics([gauge])
    assert [sample.value for sample in second.load_other_metrics()] == [1.0]


@pytest.mark.parametrize("content", [b"", b"[", b"\xff", b'[{"name":"stockwatch_sent_total","labels":{},"value":"x"}]'])
def test_a_broken_file_of_another_process_is_reported_and_loses_no_other_metric(make_counts, tmp_path, content):
    first, second = Process(make_counts(0)), Process(make_counts(1))
    second.sent.labels("a").inc(3)
    second.store()
    (tmp_path / "2.json").write_bytes(content)
    with capture_logs() as lines:
        assert 'stockwatch_sent_total{reason="a"} 3.0' in first.lines()
    assert [line["event"] for line in lines] == ["metrics of a process not read"]
