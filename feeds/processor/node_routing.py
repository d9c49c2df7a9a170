"""Chooses the worker of each symbol in a cluster, so that each worker writes to one node. Pure.

A node that does not answer then delays only its own symbols. If a replica takes over the tags of a node, it also gets
the node's worker. If tags move to another node, their worker may change; `plan` tells which workers must have written
everything before `apply` may be called. Otherwise updates of a symbol could overtake each other.
"""

from feeds.store.cluster.slots import SLOT_OF_TAG, TAGS, Node, SlotMap, tag_number


class NodeRouting:
    """The worker of each tag. `workers` is the number of workers.

    If there are more nodes than workers, some nodes share a worker. Before `apply`, all tags have the first worker.
    """

    def __init__(self, slots: SlotMap, workers: int) -> None:
        self.workers = workers
        self._slots = slots
        self._seen_version = 0
        self._worker_of_tag = [0] * TAGS
        self._worker_of_node: dict[Node, int] = {}
        self._planned: tuple[int, list[int], dict[Node, int]] = (0, self._worker_of_tag, {})

    @property
    def has_changed(self) -> bool:
        """Whether the slots have changed since the last `apply`."""
        return self._slots.version != self._seen_version

    def choose(self, symbol: str) -> int:
        """Returns the number of the worker that writes the updates of a symbol."""
        return self._worker_of_tag[tag_number(symbol)]

    def plan(self) -> set[int]:
        """Plans the workers for the present slots. Returns the workers that lose tags."""
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
        """Takes over the plan."""
        self._seen_version, self._worker_of_tag, self._worker_of_node = self._planned

    def _inherit(self, tag: int, workers: dict[Node, int]) -> int:
        """Returns the worker of a new node.

        Prefers the worker that the tag has, if no node has this worker any more. Otherwise takes a free worker, or the
        worker with the fewest nodes.
        """
        taken = list(workers.values())
        before = self._worker_of_tag[tag]
        return before if before not in taken else min(range(self.workers), key=taken.count)
