"""A processor that writes to a real cluster, while nodes fail, slots move and nodes are added."""

import threading
from collections.abc import Callable, Collection, Iterator
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from feeds.kafka.consumer import UpdateConsumer
from feeds.processor.loop import Processor
from feeds.processor.writers import NODE_WORKERS, plan_writers
from feeds.store.cluster.slots import SLOT_OF_TAG, TAGS, key_slot, tag_prefix
from feeds.store.connection import connect
from feeds.store.keys import read_many
from feeds.wire import Update
from tests.support.kafka.running_processor import RunningProcessor, dead_letter_topic
from tests.support.servers.redis_cluster import ClusterNode, RedisCluster
from tests.support.times import at
from tests.support.waiting import wait_until

SYMBOLS = [f"S{number}" for number in range(40)]


def slot_of(symbol: str) -> int:
    return key_slot(tag_prefix(symbol).encode())


class Market:
    """Produces updates of all symbols, and reads their quotes from a cluster."""

    def __init__(self, cluster: RedisCluster, produce: Callable[..., None]) -> None:
        self._client = connect(cluster.address)
        self._produce = produce
        self.number = 0

    def trade(self, rounds: int = 1) -> None:
        """Produces one update of each symbol per round."""
        first, self.number = self.number + 1, self.number + rounds
        self._produce(
            *(Update(symbol, 1.5, at(number), number) for number in range(first, self.number + 1) for symbol in SYMBOLS)
        )

    def stored(self, symbols: Collection[str] = SYMBOLS) -> dict[str, int]:
        """Returns the seq_id of the quote of each symbol. Leaves out symbols whose node does not answer."""
        values = read_many(self._client, [f"{tag_prefix(symbol)}stock:{symbol}" for symbol in symbols])
        pairs = zip(symbols, values, strict=True)
        return {symbol: int(v.rpartition(b":")[2].strip(b"}")) for symbol, v in pairs if isinstance(v, bytes)}

    def wait_for_newest(self, *symbols: str) -> None:
        """Waits until the newest update of each symbol is stored."""
        newest = dict.fromkeys(symbols, self.number)
        wait_until(lambda: newest.items() <= self.stored(symbols).items(), 60, "the newest update of each symbol")

    def close(self) -> None:
        self._client.close()


Start = Callable[[RedisCluster], RunningProcessor]


@pytest.fixture
def start(kafka: str, topic: str) -> Iterator[Start]:
    """Returns a function that starts a processor for a cluster."""
    started: list[RunningProcessor] = []

    def start(cluster: RedisCluster) -> RunningProcessor:
        consumer = UpdateConsumer(kafka, topic, f"group-{topic}", timedelta(seconds=3))
        plan = plan_writers(cluster.address, timedelta(hours=1), 1)
        letters = dead_letter_topic(kafka, topic)
        started.append(
            RunningProcessor(Processor(consumer, letters, plan.open_writer, plan.workers, topic, routing=plan.routing))
        )
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def market(redis_cluster: RedisCluster, produce) -> Iterator[Market]:
    market = Market(redis_cluster, produce)
    yield market
    market.close()


@pytest.fixture
def bare_cluster() -> Iterator[RedisCluster]:
    """Three masters without replicas."""
    with RedisCluster(replicas=0) as cluster:
        yield cluster


def symbols_of(cluster: RedisCluster, node: ClusterNode) -> set[str]:
    slots = set(cluster.slots_of(node))
    return {symbol for symbol in SYMBOLS if slot_of(symbol) in slots}


def metric(name: str) -> float:
    return REGISTRY.get_sample_value(f"stockwatch_processor_{name}") or 0.0


def test_each_node_has_a_worker(redis_cluster: RedisCluster, market: Market, start: Start):
    market.trade(3)
    running = start(redis_cluster)
    market.wait_for_newest(*SYMBOLS)
    pool = running.processor._pool
    by_owner: dict[str, set[int]] = {}
    for symbol in SYMBOLS:
        by_owner.setdefault(redis_cluster.owner(slot_of(symbol)).address, set()).add(pool.choose(symbol))
    workers = [number for numbers in by_owner.values() for number in numbers]
    assert len(by_owner) == len(workers) == len(set(workers)) == 3
    assert running.stop() is True


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_a_node_without_answers_pauses_no_other_node_and_loses_no_last_price(
    bare_cluster: RedisCluster, produce, start: Start, fault: str
):
    market = Market(bare_cluster, produce)
    market.trade()
    running = start(bare_cluster)
    market.wait_for_newest(*SYMBOLS)
    merged = metric("merged_total")
    node = bare_cluster.masters[1]
    others = set(SYMBOLS) - symbols_of(bare_cluster, node)
    getattr(bare_cluster, fault)(node)

    for _ in range(4):  # more updates than may be pending, and more than are kept for each partition
        market.trade(500)
        market.wait_for_newest(*others)
    wait_until(lambda: metric("blocked_workers") == 1, 60, "one blocked worker")
    assert not running.processor._paused
    bare_cluster.thaw(node) if fault == "freeze" else bare_cluster.heal()
    market.wait_for_newest(*SYMBOLS)
    wait_until(lambda: metric("blocked_workers") == 0, 60, "no blocked worker")
    assert metric("merged_total") > merged
    assert running.stop() is True
    market.close()


def test_a_replica_takes_over_under_load_and_no_last_price_is_lost(
    redis_cluster: RedisCluster, market: Market, start: Start
):
    market.trade()
    running = start(redis_cluster)
    market.wait_for_newest(*SYMBOLS)
    node = redis_cluster.owner(slot_of("S0"))
    others = set(SYMBOLS) - symbols_of(redis_cluster, node)
    redis_cluster.kill(node)
    market.trade(10)
    market.wait_for_newest(*others)
    market.trade(10)
    market.wait_for_newest(*SYMBOLS)
    assert running.stop() is True


def test_slots_move_under_load_to_a_new_node_and_no_last_price_is_lost(produce, start: Start):
    with RedisCluster(replicas=0) as cluster:
        market = Market(cluster, produce)
        market.trade()
        running = start(cluster)
        market.wait_for_newest(*SYMBOLS)
        done = threading.Event()

        def trade_until_done() -> None:
            while not done.is_set():
                market.trade()
                wait_until(lambda: max(market.stored().values()) > market.number - 20, 60, "a processor in step")

        feed = threading.Thread(target=trade_until_done)
        feed.start()
        node = cluster.add_node()
        moved = sorted(SLOT_OF_TAG)[: TAGS // 4]
        for slot in moved:
            cluster.migrate(slot, node)
        done.set()
        feed.join()
        market.trade()
        market.wait_for_newest(*SYMBOLS)
        choose = running.processor._pool.choose
        there = [symbol for symbol in SYMBOLS if slot_of(symbol) in moved]
        assert there

        def has_own_worker() -> bool:
            market.trade()  # a worker learns of a moved slot when it writes
            workers = {choose(symbol) for symbol in there}
            return len(workers) == 1 and not workers & {choose(symbol) for symbol in SYMBOLS if symbol not in there}

        wait_until(has_own_worker, 60, "a worker for the new node")
        market.wait_for_newest(*SYMBOLS)
        assert running.stop() is True
        market.close()


def test_a_processor_starts_while_no_node_answers(produce, start: Start):
    cluster = RedisCluster(replicas=0)
    plan = plan_writers(cluster.address, timedelta(hours=1), 1)
    assert plan.workers == NODE_WORKERS
    running = start(cluster)
    market = Market(cluster, produce)
    market.trade()
    with cluster:
        market.wait_for_newest(*SYMBOLS)
        assert running.stop() is True
    market.close()
