import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import NoReturn

import pytest
import redis
from hypothesis import HealthCheck, settings

from stockwatch.local import redis_server as local_redis
from stockwatch.local.redis_server import RedisServer
from tests.support.servers.redis_cluster import RedisCluster

pytest_plugins = [
    "tests.support.watchlist.fixtures",
    "tests.support.gateway.fixtures",
    "tests.support.kafka.fixtures",
]

# Hypothesis generates the same examples on every run and machine, at any load.
settings.register_profile(
    "reproducible", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("reproducible")


ENDING_SECONDS = 120.0
"""How long the fixtures of another process may take to end their servers."""


def _end_tests(number: int, _frame: object) -> NoReturn:
    """Ends the tests as Ctrl-C does, so that fixtures end their servers and remove their files.

    Further signals do nothing, because `make` repeats one that its whole process group has received already. A
    worker of xdist is stopped by the group and by `_end_workers`, with different signals.
    """
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) is _end_tests:
            signal.signal(each, _ignore)  # programs that a fixture starts at its end would inherit SIG_IGN
    raise KeyboardInterrupt(signal.Signals(number).name)


def _ignore(_number: int, _frame: object) -> None:
    """Ignores a signal."""


def pytest_sessionstart(session: pytest.Session) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end_tests)
    if (worker := getattr(session.config, "workerinput", None)) is not None:
        signal.signal(signal.SIGINT, _end_tests)
        _divide_ports(int(worker["workerid"].removeprefix("gw")), worker["workercount"])


def _divide_ports(number: int, count: int) -> None:
    """Gives each worker of xdist its own ports: a program listens long after `free_port` has found its port free."""
    local_redis.SERVER_PORTS = local_redis.SERVER_PORTS[number % count :: count]


def _end_workers(config: pytest.Config) -> None:
    """Ends the tests of all workers that still run, and waits for their fixtures: xdist kills after ten seconds."""
    distributor = config.pluginmanager.get_plugin("dsession")
    manager = getattr(distributor, "nodemanager", None)
    workers = [gateway for gateway in manager.group if not hasattr(gateway.node, "workeroutput")] if manager else []
    for gateway in workers:
        gateway._io.popen.terminate()
    for gateway in workers:
        channel = gateway.node.channel
        with suppress(channel.RemoteError, channel.TimeoutError, EOFError):
            channel.waitclose(ENDING_SECONDS)


DATABASE_FIXTURES = {"db", "transactional_db", "django_db_setup", "django_db_reset_sequences", "live_server"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", action="store_true", help="run only tests that use the database")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--database"):
        return
    selected = [
        item for item in items if item.get_closest_marker("django_db") or DATABASE_FIXTURES & set(item.fixturenames)
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in selected])
    items[:] = selected


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


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[RedisCluster]:
    with RedisCluster() as cluster:
        yield cluster


@pytest.fixture
def redis_cluster(shared_cluster: RedisCluster) -> Iterator[RedisCluster]:
    """A Redis Cluster without keys: three masters, each with a replica.

    A test may kill nodes and move slots. Nodes that a test has killed are started again.
    """
    shared_cluster.clear()
    yield shared_cluster
    shared_cluster.heal()


def _count_skips(config: pytest.Config) -> dict[str, int]:
    """Returns the number of skipped tests by reason."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter else []
    return Counter(report.longrepr[2].removeprefix("Skipped: ") for report in reports)


@pytest.hookimpl(tryfirst=True)  # before xdist ends its workers
def pytest_sessionfinish(session: pytest.Session) -> None:
    _end_workers(session.config)
    if os.environ.get("CI") == "true" and _count_skips(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    """Prints the skipped tests as the last line. The reason of each skip says what to install."""
    if skips := _count_skips(config):
        failed = ", a failure under CI=true" if os.environ.get("CI") == "true" else ""
        reasons = "; ".join(f"{count} x {reason}" for reason, count in skips.items())
        print(f"{sum(skips.values())} skipped{failed}: {reasons}")
