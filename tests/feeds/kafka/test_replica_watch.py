import threading
from math import isnan, nan

from feeds import metrics
from feeds.kafka import replica_watch
from feeds.kafka.inspection import ClusterState, Inspection, TopicState
from feeds.kafka.replica_watch import ReplicaWatch, count_missing, find_worst
from stockwatch.local.redis_server import free_port
from tests.support.waiting import wait_until


def cluster_with(state: TopicState) -> ClusterState:
    return ClusterState(3, False, {"ticks": state})


def test_replicas_that_are_not_in_sync_are_missing():
    assert count_missing(lambda: cluster_with(TopicState(4, 3, 2)), "ticks") == 1
    assert count_missing(lambda: cluster_with(TopicState(4, 3, 3)), "ticks") == 0


def test_the_number_is_unknown_without_the_topic():
    assert isnan(count_missing(lambda: cluster_with(TopicState(4, 3, 3)), "other"))
    assert isnan(count_missing(lambda: cluster_with(TopicState(refusal="not authorized")), "ticks"))


def test_the_number_is_unknown_without_brokers():
    inspection = Inspection(f"127.0.0.1:{free_port()}", 0.1)
    assert isnan(count_missing(inspection.read_cluster, "ticks"))


def test_the_worst_answer_counts_and_unknown_ones_do_not():
    assert find_worst([0, 1, nan]) == 1
    assert isnan(find_worst([nan, nan]))


def test_all_brokers_are_asked_in_turn(kafka: str, topic: str, produce, monkeypatch):
    asked: list[str] = []

    class Noted(Inspection):
        def __init__(self, brokers: str, timeout: float) -> None:
            asked.append(brokers)
            super().__init__(brokers, timeout)

    monkeypatch.setattr(replica_watch, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(replica_watch, "Inspection", Noted)
    stop = threading.Event()
    watch = ReplicaWatch(kafka, topic, stop)
    watch.start()
    wait_until(lambda: len(asked) > 3)
    stop.set()
    watch.join()
    assert asked[:4] == [*kafka.split(","), kafka.split(",")[0]]


def test_the_watch_sets_the_metric_until_it_is_stopped(kafka: str, topic: str, produce, monkeypatch):
    monkeypatch.setattr(replica_watch, "WATCH_SECONDS", 0.01)
    produce((b"AAPL", b"1"))
    metrics.MISSING_REPLICAS.set(7)
    stop = threading.Event()
    watch = ReplicaWatch(kafka, topic, stop)
    watch.start()
    wait_until(lambda: metrics.MISSING_REPLICAS._value.get() == 0)
    stop.set()
    watch.join()
    assert not watch._thread.is_alive()
