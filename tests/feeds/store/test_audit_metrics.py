import socket
from collections.abc import Iterator
from math import isnan

import pytest
import redis
from prometheus_client import REGISTRY

from feeds import metrics
from feeds.store.audit_metrics import READ_SECONDS, serve_audits
from feeds.store.audit_reports import AuditReport, SymbolAudit, write_report
from feeds.store.connection import Profile, connect
from tests.support.delivery.listener import Listener

BTC = SymbolAudit("BTC/USD", 1440, 1437, 1, 1, 1, 2, 5)
ETH = SymbolAudit("ETH/USD", 10, 9, 1, 0, 0, 1, 0)
SOL = SymbolAudit("SOL/USD", problem="HTTP 500")


@pytest.fixture(autouse=True)
def _no_audits_afterwards() -> Iterator[None]:
    yield
    for gauge in (metrics.AUDIT_LOST, metrics.AUDIT_REPEATED, metrics.AUDIT_INEXACT):
        gauge.clear()


def sample(name: str, source: str) -> float:
    value = REGISTRY.get_sample_value(f"stockwatch_audit_{name}", {"source": source})
    assert value is not None
    return value


def test_the_newest_audits_are_metrics(redis_client: redis.Redis):
    serve_audits(redis_client, ["kraken", "coinbase", "binance"])
    write_report(redis_client, AuditReport("kraken", "2026-11-22", 1, [BTC, ETH, SOL]))
    uncounted = SymbolAudit("BTC/USD", 3, 3)
    write_report(redis_client, AuditReport("coinbase", "2026-11-22", 1, [uncounted]))

    assert [sample(name, "kraken") for name in ("lost", "repeated", "inexact_minutes")] == [3, 5, 4]
    assert isnan(sample("lost", "coinbase"))
    assert sample("inexact_minutes", "coinbase") == 0
    assert isnan(sample("inexact_minutes", "binance"))


def test_without_redis_the_metrics_have_no_value():
    serve_audits(connect({"host": "127.0.0.1", "port": 1}), ["kraken"])
    assert isnan(sample("inexact_minutes", "kraken"))


def test_a_new_audit_is_shown_some_seconds_later(redis_client: redis.Redis):
    now = 100.0
    serve_audits(redis_client, ["kraken"], lambda: now)
    assert isnan(sample("lost", "kraken"))
    write_report(redis_client, AuditReport("kraken", "2026-11-22", 1, [BTC]))
    now += READ_SECONDS
    assert sample("lost", "kraken") == 2


class SilentRedis(Listener):
    """Accepts connections, counts them, and answers nothing."""

    connections = 0

    def _serve(self, connection: socket.socket) -> None:
        self.connections += 1
        with connection:
            while connection.recv(1024):
                pass


def test_a_scrape_waits_only_once_for_a_redis_that_does_not_answer():
    impatient = Profile(socket_timeout=0.05, connect_timeout=60.0, retries=0)
    with SilentRedis("127.0.0.1") as server:
        sources = ["kraken", "coinbase", "binance"]
        serve_audits(connect({"host": "127.0.0.1", "port": server.port}, impatient), sources, lambda: 100.0)
        for name in ("lost", "repeated", "inexact_minutes"):
            assert all(isnan(sample(name, source)) for source in sources)
        assert server.connections == 1
