import pytest
from prometheus_client import CollectorRegistry, Histogram

from feeds.metrics import UpdateHistogram


@pytest.mark.parametrize("seconds", [0.0, 0.25, 0.5, 0.75, 1.0, 7.0])
def test_a_batch_counts_as_often_as_its_updates_one_by_one(seconds: float):
    registries = CollectorRegistry(), CollectorRegistry()
    UpdateHistogram("age", "…", buckets=[0.5, 1], registry=registries[0]).observe_batch(seconds, 3)
    each = Histogram("age", "…", buckets=[0.5, 1], registry=registries[1])
    for _ in range(3):
        each.observe(seconds)
    for name, labels in (
        ("age_bucket", {"le": "0.5"}),
        ("age_bucket", {"le": "1.0"}),
        ("age_bucket", {"le": "+Inf"}),
        ("age_count", {}),
        ("age_sum", {}),
    ):
        assert registries[0].get_sample_value(name, labels) == registries[1].get_sample_value(name, labels), name
