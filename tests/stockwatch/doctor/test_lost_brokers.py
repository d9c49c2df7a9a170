from feeds.kafka.inspection import ClusterState
from stockwatch.doctor.kafka_checks import check_views


def test_a_broker_that_the_others_have_lost_is_named():
    whole = ClusterState(3, False, {}, frozenset({"k1:9092", "k2:9092", "k3:9092"}))
    rest = ClusterState(2, False, {}, frozenset({"k1:9092", "k2:9092"}))
    [finding] = check_views({"k1:9092": rest, "k2:9092": rest, "k3:9092": whole})
    assert finding.found == "k3:9092 answers, but is no part of the cluster for k1:9092, k2:9092"
    assert "stop it" in finding.advice
