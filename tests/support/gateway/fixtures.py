"""Fixtures that start gateway processes."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stockwatch.local.redis_server import RedisServer
from tests.support.gateway.process import GatewayProcess, make_database

if TYPE_CHECKING:
    from tests.support.gateway.asgi import LocalGateway


@pytest.fixture(scope="session")
def ticker_database(tmp_path_factory) -> Path:
    return make_database(tmp_path_factory.mktemp("tickers"))


@pytest.fixture(scope="module")
def make_gateway(tmp_path_factory, ticker_database, redis_server) -> Iterator[Callable[..., GatewayProcess]]:
    """Returns a function that makes a gateway. The test must call `start` of the gateway.

    All gateways are stopped after the tests of the module.
    """
    made = []

    def make(command: str = "rungateway", server: RedisServer = redis_server, **variables: str) -> GatewayProcess:
        folder = tmp_path_factory.mktemp("gateway")
        made.append(GatewayProcess(folder, ticker_database, server, command, **variables))
        return made[-1]

    yield make
    for gateway in made:
        gateway.stop()


@pytest.fixture(scope="module")
def run_gateway(make_gateway) -> Callable[..., GatewayProcess]:
    """Returns a function that makes and starts a gateway."""

    def run(*arguments: Any, **options: Any) -> GatewayProcess:
        return make_gateway(*arguments, **options).start()

    return run


@pytest.fixture
async def start_local_gateway(redis_server, redis_client) -> AsyncIterator[Callable[..., "LocalGateway"]]:
    """Returns a function that makes a gateway in this process.

    All gateways are stopped after the test.
    """
    from tests.support.gateway.asgi import LocalGateway  # Plugins are imported before Django is set up.

    started = []

    def start(**options: Any) -> LocalGateway:
        started.append(LocalGateway(redis_server, **options))
        return started[-1]

    yield start
    for local in started:
        await local.stop()
