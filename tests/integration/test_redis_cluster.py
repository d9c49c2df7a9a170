"""The whole pipeline on a real Redis Cluster, while nodes die and slots move: all commands are real."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from feeds.kafka.embedded import EmbeddedCluster
from feeds.store.cluster.slots import key_slot, tag_prefix
from feeds.store.connection import connect
from feeds.store.keys import read_many
from feeds.wire import Update, decode
from tests.support.gateway.process import SYMBOLS, GatewayProcess
from tests.support.kafka.traffic import read_log
from tests.support.servers.pipeline import Programs, SocketClient, now
from tests.support.servers.redis_cluster import ClusterNode, RedisCluster
from tests.support.waiting import wait_until


def slot_of(symbol: str) -> int:
    return key_slot(tag_prefix(symbol).encode())


class Pipeline(Programs):
    """Generator, processor, recorder and gateway on a cluster."""

    def __init__(self, cluster: RedisCluster, brokers: str, gateway: GatewayProcess, folder: Path) -> None:
        super().__init__(brokers, gateway.database, folder, cluster.variables)
        self.cluster, self.brokers, self.gateway = cluster, brokers, gateway

    def symbols_of(self, node: ClusterNode) -> set[str]:
        slots = set(self.cluster.slots_of(node))
        return {symbol for symbol in SYMBOLS if slot_of(symbol) in slots}

    def stored(self) -> dict[str, bytes | None]:
        with connect(self.cluster.address) as client:
            values = read_many(client, [f"{tag_prefix(symbol)}stock:{symbol}" for symbol in SYMBOLS])
        return {
            symbol: value
            for symbol, value in zip(SYMBOLS, values, strict=True)
            if not isinstance(value, redis.RedisError)
        }


@pytest.fixture(scope="module")
def pipeline(shared_cluster, run_gateway, redis_server, tmp_path_factory) -> Iterator[Pipeline]:
    shared_cluster.clear()
    with EmbeddedCluster() as brokers:
        gateway = run_gateway("rungateway", redis_server, **shared_cluster.variables)
        pipeline = Pipeline(shared_cluster, brokers.addresses, gateway, tmp_path_factory.mktemp("pipeline"))
        yield pipeline
        pipeline.close()


@pytest.fixture
def client(pipeline: Pipeline) -> Iterator[SocketClient]:
    with pipeline.gateway.connect(max_queue=None) as socket:
        client = SocketClient(socket)
        client.receive_until(*SYMBOLS, after=now())
        yield client
    pipeline.cluster.heal()  # also after a test that failed


def test_prices_flow_from_the_generator_to_sockets_pages_and_bars(pipeline: Pipeline, client: SocketClient):
    assert client.gaps(*SYMBOLS) == 0
    wait_until(lambda: pipeline.gateway.get("/readyz")[0] == 200)
    assert json.loads(pipeline.gateway.get("/readyz")[1])["lost_nodes"] == []
    status, page = pipeline.gateway.get("/")
    assert status == 200
    assert "not available right now" not in page
    quotes = json.loads(pipeline.gateway.get("/api/quotes?symbols=AAPL,BTC/USD")[1])["quotes"]
    assert {quote["symbol"] for quote in quotes} == {"AAPL", "BTC/USD"}
    bars = wait_until(lambda: json.loads(pipeline.gateway.get("/api/bars/AAPL")[1])["bars"], 60, "bars")
    assert bars
    names = {key for node in pipeline.cluster.nodes for key in node.run("KEYS", "*")}
    assert {name.partition(b".")[0] for name in names if name.endswith(b"AAPL") and b"owner" not in name} == {
        tag_prefix("AAPL")[:-1].encode()
    }


def test_a_slot_moves_under_load_and_no_update_of_other_slots_is_lost(pipeline: Pipeline, client: SocketClient):
    slot = slot_of("GOOG")
    others = [symbol for symbol in SYMBOLS if slot_of(symbol) != slot]
    pipeline.cluster.migrate(slot, pipeline.cluster.other_master(slot))
    client.receive_until(*SYMBOLS, after=now())
    assert client.gaps(*others) == 0


def test_a_master_dies_under_load_and_only_its_own_symbols_wait_for_the_replica(
    pipeline: Pipeline, client: SocketClient
):
    node = pipeline.cluster.owner(slot_of("AAPL"))
    others = set(SYMBOLS) - pipeline.symbols_of(node)
    assert others
    pipeline.cluster.kill(node)
    client.receive_until(*SYMBOLS, after=now())
    assert client.gaps(*others) == 0
    pipeline.cluster.heal()
    wait_until(lambda: pipeline.gateway.get("/readyz")[0] == 200)


def test_a_lost_shard_is_reported_by_page_health_check_and_metrics(pipeline: Pipeline, client: SocketClient):
    cluster, gateway = pipeline.cluster, pipeline.gateway
    node = cluster.owner(slot_of("AAPL"))
    others = set(SYMBOLS) - pipeline.symbols_of(node)
    for each in (cluster.replica_of(node), node):
        cluster.kill(each)

    def ready() -> tuple[int, object, object]:
        status, text = gateway.get("/readyz")
        answer = json.loads(text)
        return status, answer.get("lost_nodes"), answer.get("down")

    # Each part notices the loss by itself.
    wait_until(lambda: ready() == (503, [node.address], ["redis"]))
    wait_until(lambda: gateway.metric("redis_nodes_lost") == 1)
    wait_until(lambda: gateway.metric("channel_layer_connected") == 0)
    wait_until(lambda: gateway.get("/api/quotes?symbols=AAPL")[0] == 503)
    client.receive_until(*others, after=now())
    assert client.gaps(*others) == 0

    cluster.heal()
    client.receive_until(*SYMBOLS, after=now())
    wait_until(lambda: gateway.get("/readyz")[0] == 200)
    wait_until(lambda: gateway.metric("redis_nodes_lost") == 0)


def test_no_last_price_is_lost(pipeline: Pipeline, client: SocketClient):
    assert pipeline.generator.end() == 0
    newest: dict[str, Update] = {}
    for update, _ in read_log(pipeline.brokers, "market_ticks"):
        if update.symbol not in newest or update.order > newest[update.symbol].order:
            newest[update.symbol] = update

    def stored() -> dict[str, Update]:
        return {symbol: decode(value) for symbol, value in pipeline.stored().items() if value}

    wait_until(lambda: stored() == newest, 60, "the newest update of each symbol")
    with pipeline.gateway.connect(max_queue=None) as socket:
        late = SocketClient(socket)
        late.receive_until(*SYMBOLS, after=0)
    assert {symbol: numbers[-1] for symbol, numbers in late.numbers.items()} == {
        symbol: update.seq_id for symbol, update in newest.items()
    }
    assert [pipeline.recorder.end(), pipeline.processor.end()] == [0, 0]
