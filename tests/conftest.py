import os
from collections import Counter
from collections.abc import Iterator

import pytest
import redis
from hypothesis import HealthCheck, settings

from stockwatch.local.redis_server import RedisServer

pytest_plugins = [
    "tests.support.watchlist_fixtures",
    "tests.support.gateway.fixtures",
    "tests.support.kafka.fixtures",
]

# The same examples on every run and machine, however busy it is: a failure is there for everybody, or for nobody.
SAME = {"derandomize": True, "database": None, "deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("same", **SAME)
settings.load_profile("same")

DATABASE = {"db", "transactional_db", "django_db_setup", "django_db_reset_sequences", "live_server"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", action="store_true", help="only tests that touch the database")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--database"):
        return
    chosen = [item for item in items if item.get_closest_marker("django_db") or DATABASE & set(item.fixturenames)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    client = redis.Redis(host=redis_server.host, port=redis_server.port, protocol=2)
    client.flushall()
    client.script_flush()
    yield client
    client.close()


def _skips(config: pytest.Config) -> dict[str, int]:
    """How often each reason for a skip was given."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter else []
    return Counter(report.longrepr[2].removeprefix("Skipped: ") for report in reports)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if os.environ.get("CI") == "true" and _skips(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    """The last line: what was left out, and what to do to have it run (each skip's reason says it)."""
    if skips := _skips(config):
        failed = ", a failure under CI=true" if os.environ.get("CI") == "true" else ""
        reasons = "; ".join(f"{count} x {reason}" for reason, count in skips.items())
        print(f"{sum(skips.values())} skipped{failed}: {reasons}")
