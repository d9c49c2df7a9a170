import signal
import threading
from collections.abc import Iterator
from math import isnan

import pytest
import redis
from prometheus_client import REGISTRY

from feeds import metrics
from feeds.store import audit_metrics
from feeds.store.audit_metrics import AuditWatch
from feeds.store.audit_reports import AuditReport, SymbolAudit, write_report
from feeds.store.connection import connect
from stockwatch.local.redis_server import RedisServer
from tests.support.waiting import wait_until

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
    watch = AuditWatch(redis_client, ["kraken", "coinbase", "binance"], threading.Event())
    write_report(redis_client, AuditReport("kraken", "2026-11-22", 1, [BTC, ETH, SOL]))
    uncounted = SymbolAudit("BTC/USD", 3, 3)
    write_report(redis_client, AuditReport("coinbase", "2026-11-22", 1, [uncounted]))
    watch.read()

    assert [sample(name, "kraken") for name in ("lost", "repeated", "inexact_minutes")] == [3, 5, 4]
    assert isnan(sample("lost", "coinbase"))
    assert sample("inexact_minutes", "coinbase") == 0
    assert isnan(sample("inexact_minutes", "binance"))


def test_an_audit_that_has_expired_has_no_value(redis_client: redis.Redis):
    watch = AuditWatch(redis_client, ["kraken"], threading.Event())
    write_report(redis_client, AuditReport("kraken", "2026-11-22", 1, [BTC]))
    watch.read()
    assert sample("lost", "kraken") == 2
    redis_client.delete("audit:kraken")
    watch.read()
    assert isnan(sample("lost", "kraken"))


def test_without_redis_the_metrics_have_no_value():
    watch = AuditWatch(connect({"host": "127.0.0.1", "port": 1}), ["kraken"], threading.Event())
    watch.read()
    assert isnan(sample("inexact_minutes", "kraken"))


def test_while_redis_hangs_the_metrics_keep_their_values(monkeypatch):
    monkeypatch.setattr(audit_metrics, "READ_SECONDS", 0.01)
    with RedisServer() as server:
        client, stop = connect({"host": server.host, "port": server.port}), threading.Event()
        write_report(client, AuditReport("kraken", "2026-11-22", 1, [BTC]))
        watch = AuditWatch(client, ["kraken"], stop)
        watch.start()
        wait_until(lambda: sample("lost", "kraken") == 2)
        server.process.send_signal(signal.SIGSTOP)
        try:
            watch.read()  # returns after the time-outs of the client
            assert sample("lost", "kraken") == 2
        finally:
            server.process.send_signal(signal.SIGCONT)
            stop.set()
            watch._thread.join(60)
