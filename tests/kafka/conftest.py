import os
from collections.abc import Iterator
from pathlib import Path
from random import Random
from shutil import copy

import pytest

from tests.support.kafka.brokers import Brokers, Guard
from tests.support.kafka.gate import Gate
from tests.support.kafka.pipeline import Pipeline
from tests.support.kafka.programs import Program


@pytest.fixture(scope="session")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    guard = Guard(tmp_path_factory.mktemp("programs"))
    yield guard
    guard.close()


@pytest.fixture(scope="session")
def migrated(guard: Guard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all its tables and nothing in them."""
    database = tmp_path_factory.mktemp("database") / "empty.sqlite3"
    variables = {"DATABASE_URL": f"sqlite:///{database}"}
    assert Program(guard, ["manage.py", "migrate", "-v0"], variables).await_end() == 0
    return database


@pytest.fixture
def line(brokers: Brokers, guard: Guard, migrated: Path, tmp_path: Path) -> Iterator[Pipeline]:
    database = Path(copy(migrated, tmp_path / "stockwatch.sqlite3"))
    line = Pipeline(brokers, guard, tmp_path, database)
    yield line
    line.close()


@pytest.fixture
def gate(line: Pipeline) -> Iterator[Gate]:
    host, _, port = line.redis.address.rpartition(":")
    gate = Gate((host, int(port)))
    yield gate
    gate.close()


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> Random:
    """Every random choice of a test; `FAULTS_SEED` repeats what a run has printed."""
    seed = int(os.environ.get("FAULTS_SEED") or Random().randrange(10**6))
    print(f"FAULTS_SEED={seed}")
    return Random(seed)
