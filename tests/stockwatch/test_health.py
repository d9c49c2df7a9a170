import pytest

from feeds.store.feed_state import FeedState, FeedStateStore
from stockwatch import health
from stockwatch.local.redis_server import free_port


@pytest.fixture
def redis_settings(settings, redis_server):
    settings.REDIS = settings.REDIS | {"host": redis_server.host, "port": redis_server.port}
    return settings


def test_livez_answers_200_without_redis(client, settings):
    settings.REDIS = settings.REDIS | {"port": free_port()}
    assert client.get("/livez").status_code == 200


@pytest.mark.django_db
def test_readyz_answers_200_if_redis_and_the_database_answer(client, redis_settings):
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "sources": {}})
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_readyz_names_redis_if_it_does_not_answer(client, settings):
    settings.REDIS = settings.REDIS | {"host": "127.0.0.1", "port": free_port()}
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["down"]) == (503, ["redis"])


@pytest.mark.django_db
def test_readyz_names_prices_if_redis_answers_and_the_subscription_is_lost(client, redis_settings, monkeypatch):
    monkeypatch.setitem(health.more_checks, "prices", lambda: False)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["down"]) == (503, ["prices"])


@pytest.mark.django_db
def test_readyz_lists_the_states_of_real_sources_and_does_not_fail_because_of_them(
    client, redis_settings, redis_client, make_ticker
):
    make_ticker("AAPL")
    make_ticker("BTC/USD", source="kraken")
    make_ticker("BTC/EUR", source="binance", active=False)
    missing = {"state": "reconnecting", "reason": "runfeed is not running", "since": 0}
    assert client.get("/readyz").json() == {"status": "ready", "sources": {"kraken": missing}}
    FeedStateStore(redis_client).write({"kraken": FeedState("refused", "not in this country", 7, 0)})
    answer = client.get("/readyz")
    refused = {"state": "refused", "reason": "not in this country", "since": 7}
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "sources": {"kraken": refused}})


def test_metrics_are_served_in_the_prometheus_text_format(client):
    answer = client.get("/metrics")
    assert answer["Content-Type"].startswith("text/plain")
    assert b"python_info" in answer.content


def test_metrics_are_refused_to_clients_outside_the_allowed_networks(client):
    answer = client.get("/metrics", REMOTE_ADDR="203.0.113.7")
    assert (answer.status_code, b"METRICS_ALLOWED_NETWORKS" in answer.content) == (403, True)
    assert client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 403


@pytest.mark.django_db
def test_readyz_tells_clients_outside_the_allowed_networks_only_up_or_down(client, redis_settings, monkeypatch):
    answer = client.get("/readyz", REMOTE_ADDR="203.0.113.7")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})
    monkeypatch.setitem(health.more_checks, "prices", lambda: False)
    answer = client.get("/readyz", REMOTE_ADDR="203.0.113.7")
    assert (answer.status_code, answer.json()) == (503, {"status": "not ready"})
