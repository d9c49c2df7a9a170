"""Chooses the worker that writes each symbol in a Redis Cluster. Pure.

The same worker writes all symbols of a node. A tag is the text in braces in a Redis key, such as `abc` in `{abc}.key`.
Keys with the same tag are on the same node. Each symbol has one tag for all its keys.

If tags move to another node, call `plan`, which returns the workers that lose tags. When these workers have written all
their updates, call `apply`. Then `choose` returns the new workers.
"""

from feeds.store.cluster.slots import SLOT_OF_TAG, TAGS, Node, SlotMap, tag_number


class NodeRouting:
    """Holds the worker of each tag. `workers` is the number of workers.

    If there are more nodes than workers, some nodes share a worker.
    """

    def __init__(self, slots: SlotMap, workers: int) -> None:
        self.workers = workers
        self._slots = slots
        self._seen_version = 0
        # Worker 0 writes all symbols until `apply` is called.
        self._worker_of_tag = [0] * TAGS
        self._worker_of_node: dict[Node, int] = {}
        self._planned: tuple[int, list[int], dict[Node, int]] = (0, self._worker_of_tag, {})

    @property
    def has_changed(self) -> bool:
        """Whether symbols may have moved to other nodes since the last `apply`."""
        return self._slots.version != self._seen_version

    def choose(self, symbol: str) -> int:
        """Returns the number of the worker that writes the updates of a symbol."""
        return self._worker_of_tag[tag_number(symbol)]

    def plan(self) -> set[int]:
        """Computes the new worker of each tag. Returns the workers that lose tags.

        The plan has no effect until `apply` is called.
        """
        version = self._slots.version
        owners = [self._slots.owner(slot) for slot in SLOT_OF_TAG]
        workers: dict[Node, int] = {}
        for node in dict.fromkeys(owners):
            if node is not None and node in self._worker_of_node:
                workers[node] = self._worker_of_node[node]
        for tag, node in enumerate(owners):
            if node is not None and node not in workers:
                workers[node] = self._inherit(tag, workers)
        by_tag = [
            before if node is None else workers[node] for before, node in zip(self._worker_of_tag, owners, strict=True)
        ]
        self._planned = (version, by_tag, workers)
        return {before for before, after in zip(self._worker_of_tag, by_tag, strict=True) if before != after}

    def apply(self) -> None:
        """Makes `choose` return the workers of the last plan."""
        # If the previous worker of a symbol still had updates, the updates would be written out of order.
        self._seen_version, self._worker_of_tag, self._worker_of_node = self._planned

    def _inherit(self, tag: int, workers: dict[Node, int]) -> int:
        """Returns a worker for a node that has no worker yet. `tag` is the number of the node's first tag.

        Prefers the worker that `tag` had before. If that worker already writes to another node, returns the worker with
        the fewest nodes.
        """
        taken = list(workers.values())
        before = self._worker_of_tag[tag]
        return before if before not in taken else min(range(self.workers), key=taken.count)
