import pytest

from feeds.processor.node_routing import NodeRouting
from feeds.store.cluster.slots import SLOT_OF_TAG, SLOTS, Node, SlotMap, tag_number

A, B, C, D = (Node(f"10.0.0.{number}", 6379) for number in range(1, 5))
SYMBOLS = [f"S{number}" for number in range(200)]


def reply(*nodes: Node) -> list[list[object]]:
    """Returns the reply of CLUSTER SLOTS of a cluster whose nodes have the same number of slots."""
    count = len(nodes)
    return [
        [SLOTS * at // count, SLOTS * (at + 1) // count - 1, [node.host, node.port]] for at, node in enumerate(nodes)
    ]


@pytest.fixture
def slots() -> SlotMap:
    return SlotMap([A])


def owner(slots: SlotMap, symbol: str) -> Node | None:
    return slots.owner(SLOT_OF_TAG[tag_number(symbol)])


def nodes_by_worker(routing: NodeRouting, slots: SlotMap) -> dict[int, set[Node | None]]:
    nodes: dict[int, set[Node | None]] = {}
    for symbol in SYMBOLS:
        nodes.setdefault(routing.choose(symbol), set()).add(owner(slots, symbol))
    return nodes


def test_one_worker_writes_everything_before_the_slots_are_known(slots: SlotMap):
    routing = NodeRouting(slots, 4)
    assert not routing.has_changed
    assert {routing.choose(symbol) for symbol in SYMBOLS} == {0}


def test_each_node_gets_a_worker(slots: SlotMap):
    routing = NodeRouting(slots, 4)
    slots.replace(reply(A, B, C), A)
    assert routing.has_changed
    assert routing.plan() == {0}
    assert {routing.choose(symbol) for symbol in SYMBOLS} == {0}
    routing.apply()
    assert not routing.has_changed
    assert nodes_by_worker(routing, slots) == {0: {A}, 1: {B}, 2: {C}}


def test_a_replica_that_takes_over_gets_the_worker_of_its_node(slots: SlotMap):
    routing = NodeRouting(slots, 4)
    for nodes in [(A, B, C), (A, D, C)]:
        slots.replace(reply(*nodes), A)
        losing = routing.plan()
        routing.apply()
    assert losing == set()
    assert nodes_by_worker(routing, slots) == {0: {A}, 1: {D}, 2: {C}}


def test_a_moved_tag_gets_the_worker_of_its_new_node(slots: SlotMap):
    routing = NodeRouting(slots, 4)
    slots.replace(reply(A, B, C), A)
    routing.plan()
    routing.apply()
    slots.move(SLOT_OF_TAG[tag_number("S0")], B)
    slots.move(SLOT_OF_TAG[tag_number("S1")], B)
    before = routing.choose("S0"), routing.choose("S1")
    assert routing.plan() == set(before) - {1}
    routing.apply()
    assert (routing.choose("S0"), routing.choose("S1")) == (1, 1)


def test_a_new_node_gets_a_free_worker_or_shares_one(slots: SlotMap):
    slots.replace(reply(A, B, C), A)
    for workers, expected in [(4, {3: {D}}), (2, {0: {A, C}, 1: {B, D}})]:
        routing = NodeRouting(slots, workers)
        routing.plan()
        routing.apply()
        moved = SlotMap([A])
        moved.replace(reply(A, B, C, D), A)
        routing._slots = moved
        routing.plan()
        routing.apply()
        assert nodes_by_worker(routing, moved).items() >= expected.items()


def test_a_tag_without_a_node_keeps_its_worker(slots: SlotMap):
    routing = NodeRouting(slots, 4)
    slots.replace(reply(A, B, C), A)
    routing.plan()
    routing.apply()
    workers = [routing.choose(symbol) for symbol in SYMBOLS]
    slots.replace(reply(A, B, C)[:2], A)
    assert routing.plan() == set()
    routing.apply()
    assert [routing.choose(symbol) for symbol in SYMBOLS] == workers
