from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.support.deploy.compose import SECRET_KEY, Stack, compose_binary
from tests.support.deploy.engine import CACHE, Engine, EngineNotStarted
from tests.support.deploy.images import build_images

expect.set_options(timeout=60_000)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A Docker engine that has the images of docker-compose.yml."""
    folder = tmp_path_factory.mktemp("engine")
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        compose_binary()
        with Engine(folder) as engine:
            build_images(engine, folder)
            yield engine
    except EngineNotStarted as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def stack(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole system, started from nothing, with all services healthy. Each test leaves them healthy."""
    stack = Stack(engine, tmp_path_factory.mktemp("project") / "stockwatch", SECRET_KEY=SECRET_KEY)
    try:
        stack.up()
        yield stack
    finally:
        stack.down("--volumes", "--timeout", "5")
