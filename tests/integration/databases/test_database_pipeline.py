"""All programs on a PostgreSQL with TLS, directly and behind pgbouncer, while the database is locked or down.

DATABASE_STOP_SECONDS=60 locks and stops the database for longer than the suite does.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from feeds.kafka.embedded import EmbeddedCluster
from tests.exchanges.kraken import KrakenExchange
from tests.support.delivery.receiver import WebhookReceiver
from tests.support.servers.certificates import make_certificates
from tests.support.servers.database_pipeline import DatabasePipeline, receive_for
from tests.support.servers.pgbouncer import Pgbouncer
from tests.support.servers.pipeline import SocketClient
from tests.support.servers.secure_postgres import SecurePostgres, started_secure_postgres
from tests.support.waiting import wait_until

STOP_SECONDS = float(os.environ.get("DATABASE_STOP_SECONDS", "0"))


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[SecurePostgres]:
    with started_secure_postgres(make_certificates(tmp_path)) as server:
        yield server


@pytest.fixture(params=["directly", "behind pgbouncer"])
def pipeline(request, postgres, run_gateway, redis_server, redis_client, tmp_path: Path) -> Iterator[DatabasePipeline]:
    with ExitStack() as stack:
        is_direct = request.param == "directly"
        variables = postgres.variables if is_direct else stack.enter_context(Pgbouncer(postgres)).variables
        brokers = stack.enter_context(EmbeddedCluster()).addresses
        exchange = stack.enter_context(KrakenExchange(("ETH/USD", "SOL/USD")))
        receiver = stack.enter_context(WebhookReceiver())
        pipeline = DatabasePipeline(variables, brokers, exchange, receiver, run_gateway, redis_server, tmp_path)
        stack.callback(pipeline.close)
        pipeline.exchange = exchange
        yield pipeline


def test_no_update_is_lost_over_tls_while_the_database_is_locked_and_while_it_restarts(
    pipeline: DatabasePipeline, postgres: SecurePostgres
):
    pipeline.add({"ETH/USD": "kraken"})
    pipeline.exchange.trade("ETH/USD", "3400.25")
    pipeline.wait_for_prices()
    pipeline.wait_for_webhooks()
    assert pipeline.gateway.get("/")[0] == 200
    with pipeline.gateway.connect(max_queue=None) as socket:
        client = SocketClient(socket)
        with postgres.locked():
            receive_for(client, STOP_SECONDS)
            assert pipeline.gateway.get("/")[0] == 503
        wait_until(lambda: pipeline.gateway.get("/")[0] == 200, 60, "the page")
        receive_for(client, 0)
        print(f"database locked for {STOP_SECONDS:g} s: {count(client)}")
        assert client.gaps(*client.numbers) == 0
        postgres.kill()
        receive_for(client, STOP_SECONDS)
        assert pipeline.gateway.get("/")[0] == 503
        postgres.start()
        wait_until(lambda: pipeline.gateway.get("/")[0] == 200, 60, "the page")
        pipeline.add({"NEW": "simulated", "SOL/USD": "kraken"})
        pipeline.exchange.trade("SOL/USD", "150.5")
        pipeline.wait_for_prices()
        pipeline.wait_for_webhooks()
        receive_for(client, 0)
        print(f"database down for {STOP_SECONDS:g} s: {count(client)}")
        assert client.gaps(*client.numbers) == 0
    assert set(pipeline.end()) == {0}
    assert pipeline.count_recorded() == pipeline.count_in_kafka()
    assert "Traceback" not in pipeline.logs()


def count(client: SocketClient) -> str:
    return f"{sum(map(len, client.numbers.values()))} updates received, {client.gaps(*client.numbers)} lost"
