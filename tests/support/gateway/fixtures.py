from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stockwatch.local.redis_server import RedisServer
from tests.support.gateway.process import GatewayProcess, make_database


@pytest.fixture(scope="session")
def ticker_database(tmp_path_factory) -> Path:
    return make_database(tmp_path_factory.mktemp("tickers"))


@pytest.fixture(scope="module")
def run_gateway(tmp_path_factory, ticker_database, redis_server) -> Iterator[Callable[..., GatewayProcess]]:
    """Starts gateways with a command and variables of their own; all are gone after the module's tests."""
    started = []

    def run(command: str = "rungateway", server: RedisServer = redis_server, **variables: str) -> GatewayProcess:
        folder = tmp_path_factory.mktemp("gateway")
        gateway = GatewayProcess(folder, ticker_database, server, command, **variables)
        started.append(gateway)
        return gateway.start()

    yield run
    for gateway in started:
        gateway.stop()
