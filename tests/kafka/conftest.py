import os
from collections.abc import Iterator
from pathlib import Path
from random import Random
from shutil import copy

import pytest

from tests.support.kafka.brokers import Brokers
from tests.support.kafka.pipeline import Pipeline
from tests.support.kafka.programs import Program
from tests.support.proxies.redis_proxy import RedisProxy
from tests.support.servers.processes import ProcessReaper


@pytest.fixture(scope="session")
def reaper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessReaper]:
    reaper = ProcessReaper(tmp_path_factory.mktemp("programs"))
    yield reaper
    reaper.close()


@pytest.fixture(scope="session")
def migrated_database(reaper: ProcessReaper, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database without rows."""
    database = tmp_path_factory.mktemp("database") / "empty.sqlite3"
    variables = {"DATABASE_URL": f"sqlite:///{database}"}
    assert Program(reaper, ["manage.py", "migrate", "-v0"], variables).await_end() == 0
    return database


@pytest.fixture
def pipeline(brokers: Brokers, reaper: ProcessReaper, migrated_database: Path, tmp_path: Path) -> Iterator[Pipeline]:
    database = Path(copy(migrated_database, tmp_path / "stockwatch.sqlite3"))
    pipeline = Pipeline(brokers, reaper, tmp_path, database)
    yield pipeline
    pipeline.close()


@pytest.fixture
def redis_proxy(pipeline: Pipeline) -> Iterator[RedisProxy]:
    host, _, port = pipeline.redis.address.rpartition(":")
    redis_proxy = RedisProxy((host, int(port)))
    yield redis_proxy
    redis_proxy.close()


@pytest.fixture
def rng() -> Random:
    """Makes every random choice of a test. `FAULTS_SEED` repeats a run that printed it."""
    seed = int(os.environ.get("FAULTS_SEED") or Random().randrange(10**6))
    print(f"FAULTS_SEED={seed}")
    return Random(seed)
