import json

import pytest
import redis
from django.test import Client
from django.urls import reverse

from feeds.store.audit_reports import AuditReport, SymbolAudit, write_report
from tests.support.watchlist.pages import text_of

pytestmark = pytest.mark.django_db

ETH = SymbolAudit("ETH/USD", problem="HTTP 500")
BTC = SymbolAudit("BTC/USD", 1440, 1437, 1, 1, 1, 2, 0, 0.00000012, 0.0, incomplete=4321)
SOL = SymbolAudit("SOL/USD", 3, 3)


@pytest.fixture
def report(store: redis.Redis) -> None:
    write_report(store, AuditReport("kraken", "2026-11-22", 1_766_480_000, [BTC, ETH, SOL]))
    store.set("audit:coinbase", b"nonsense")


def test_the_page_shows_the_newest_report_of_each_source(client: Client, report: None):
    html = text_of(client.get(reverse("audit")))
    assert "Kraken, 2026-11-22" in html
    assert "0.00000012" in html
    assert "<td>4321</td>" in html
    assert "HTTP 500" in html
    assert "Coinbase" not in html


def test_the_reports_are_available_as_json(client: Client, report: None):
    response = client.get(reverse("audit"), {"format": "json"})
    [found] = json.loads(response.content)
    assert (found["source"], found["symbols"][0]["lost"], found["symbols"][2]["lost"]) == ("kraken", 2, None)


def test_without_a_report_the_page_says_so(client: Client, store: redis.Redis):
    assert "There is no report yet." in text_of(client.get(reverse("audit")))


def test_without_redis_the_page_says_so(client: Client, settings):
    settings.REDIS = {"host": "127.0.0.1", "port": 1}
    response = client.get(reverse("audit"))
    assert response.status_code == 503
    assert "Redis is unreachable" in response.content.decode()
    assert client.get(reverse("audit"), {"format": "json"}).status_code == 503
