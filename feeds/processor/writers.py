"""Plans the workers of a processor, for one Redis server or for the nodes of a cluster."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import redis

from feeds.processor.node_routing import NodeRouting
from feeds.store.cluster.client import ClusterClient
from feeds.store.cluster.quote_writer import open_quote_writer
from feeds.store.connection import PIPELINE, connect, is_cluster_address, make_slots
from feeds.store.quote_writer import QuoteWriter

NODE_WORKERS = 16
"""The number of workers for a cluster. If the cluster has more nodes, some nodes share a worker."""


@dataclass(frozen=True, slots=True)
class WriterPlan:
    """The arguments of a Processor that depend on whether Redis is a cluster."""

    open_writer: Callable[[], QuoteWriter]
    workers: int
    routing: NodeRouting | None


def plan_writers(address: Mapping[str, Any], ttl: timedelta, workers: int) -> WriterPlan:
    """Returns the plan for the server or the cluster at `address`, see `feeds.store.connection.connect`.

    One server gets `workers` workers. A cluster gets NODE_WORKERS.
    """
    if not is_cluster_address(address):
        return WriterPlan(lambda: open_quote_writer(connect(address, PIPELINE), ttl), workers, None)
    slots = make_slots(address)
    client = connect(address, PIPELINE, slots)
    assert isinstance(client, ClusterClient)  # noqa: S101 - the address has `nodes`
    try:
        client.refresh()
    except redis.RedisError:
        # The workers ask for the slots again later.
        pass
    finally:
        client.close()
    routing = NodeRouting(slots, NODE_WORKERS)
    routing.plan()
    routing.apply()
    return WriterPlan(lambda: open_quote_writer(connect(address, PIPELINE, slots), ttl), NODE_WORKERS, routing)
