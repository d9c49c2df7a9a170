"""The whole pipeline on a Redis with TLS and an ACL user, and on a master that Sentinel replaces."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from feeds.kafka.embedded import EmbeddedCluster
from feeds.store.connection import connect
from feeds.wire import Update, decode
from stockwatch.environment import Environment
from stockwatch.redis_address import read_redis_address
from tests.support.gateway.process import SYMBOLS, GatewayProcess
from tests.support.kafka.traffic import read_log
from tests.support.servers.certificates import make_certificates
from tests.support.servers.pipeline import Programs, SocketClient, now
from tests.support.servers.secure_redis import SecureRedis, SentinelSetup
from tests.support.waiting import wait_until


class Pipeline:
    """The programs and a gateway on the Redis that `variables` describe."""

    def __init__(
        self,
        variables: Mapping[str, str],
        brokers: str,
        run_gateway: Callable[..., GatewayProcess],
        folder: Path,
        redis,
    ) -> None:
        self.variables, self.brokers = variables, brokers
        self.gateway = run_gateway("rungateway", redis, **variables)
        self.programs = Programs(brokers, self.gateway.database, folder, variables)

    def newest_in_kafka(self) -> dict[str, Update]:
        newest: dict[str, Update] = {}
        for update, _ in read_log(self.brokers, "market_ticks"):
            if update.symbol not in newest or update.order > newest[update.symbol].order:
                newest[update.symbol] = update
        return newest

    def stored(self) -> dict[str, Update]:
        with connect(read_redis_address(Environment(self.variables))) as client:
            values = client.mget([f"stock:{symbol}" for symbol in SYMBOLS])
        return {symbol: decode(value) for symbol, value in zip(SYMBOLS, values, strict=True) if value}

    def assert_no_last_price_is_lost(self) -> None:
        assert self.programs.generator.end() == 0
        newest = self.newest_in_kafka()
        wait_until(lambda: self.stored() == newest, 60, "the newest update of each symbol")
        with self.gateway.connect(max_queue=None) as socket:
            late = SocketClient(socket)
            late.receive_until(*SYMBOLS, after=0)
        assert {symbol: numbers[-1] for symbol, numbers in late.numbers.items()} == {
            symbol: update.seq_id for symbol, update in newest.items()
        }
        assert [self.programs.recorder.end(), self.programs.processor.end()] == [0, 0]


@pytest.fixture
def run_pipeline(run_gateway, redis_server, tmp_path: Path) -> Iterator[Callable[[Mapping[str, str]], Pipeline]]:
    started: list[Pipeline] = []
    with EmbeddedCluster() as brokers:

        def run(variables: Mapping[str, str]) -> Pipeline:
            started.append(Pipeline(variables, brokers.addresses, run_gateway, tmp_path, redis_server))
            return started[-1]

        yield run
        for pipeline in started:
            pipeline.programs.close()


def test_prices_flow_through_a_redis_with_tls_client_certificates_and_an_acl_user(run_pipeline, tmp_path: Path):
    with SecureRedis(make_certificates(tmp_path), tmp_path) as redis:
        pipeline = run_pipeline(redis.variables)
        with pipeline.gateway.connect(max_queue=None) as socket:
            client = SocketClient(socket)
            client.receive_until(*SYMBOLS, after=now())
            client.receive_until(*SYMBOLS, after=now())
            assert client.gaps(*SYMBOLS) == 0
        wait_until(lambda: pipeline.gateway.get("/readyz")[0] == 200)
        quotes = json.loads(pipeline.gateway.get("/api/quotes?symbols=AAPL,BTC/USD")[1])["quotes"]
        assert {quote["symbol"] for quote in quotes} == {"AAPL", "BTC/USD"}
        wait_until(lambda: json.loads(pipeline.gateway.get("/api/bars/AAPL")[1])["bars"], 60, "bars")
        pipeline.assert_no_last_price_is_lost()


def test_no_last_price_is_lost_when_sentinel_replaces_the_master_under_load(run_pipeline):
    with SentinelSetup() as sentinels:
        pipeline = run_pipeline(sentinels.variables)
        with pipeline.gateway.connect(max_queue=None) as socket:
            client = SocketClient(socket)
            client.receive_until(*SYMBOLS, after=now())
            sentinels.kill_master()
            client.receive_until(*SYMBOLS, after=now())
        wait_until(lambda: pipeline.gateway.get("/readyz")[0] == 200)
        pipeline.assert_no_last_price_is_lost()
