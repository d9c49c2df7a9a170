"""Lists the metrics that the code registers."""

from prometheus_client import REGISTRY, Metric

import feeds.metrics  # noqa: F401 - registers the metrics of feeds


def registered_families() -> list[Metric]:
    import stockwatch.serving.wiring  # noqa: F401 - registers the metrics of the gateway; needs Django

    return list(REGISTRY.collect())


def registered_metrics() -> set[str]:
    """Returns the names of our metrics as `/metrics` shows them; of a histogram without its suffixes."""
    families = [family for family in registered_families() if family.name.startswith("stockwatch_")]
    return {family.name + ("_total" if family.type == "counter" else "") for family in families}


def registered_series() -> set[str]:
    """Returns the names of all series that `/metrics` can show, with those of the libraries."""
    names: set[str] = set()
    for family in registered_families():
        endings = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(family.type, [""])
        names.update(family.name + ending for ending in endings)
    return names
