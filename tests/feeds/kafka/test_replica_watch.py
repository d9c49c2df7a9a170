import threading
from math import isnan

from feeds import metrics
from feeds.kafka import replica_watch
from feeds.kafka.inspection import ClusterState, Inspection, TopicState
from feeds.kafka.replica_watch import ReplicaWatch, count_missing
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
