import pytest

from stockwatch.local.redis_server import free_port


@pytest.fixture
def redis_settings(settings, redis_server):
    settings.REDIS = settings.REDIS | {"host": redis_server.host, "port": redis_server.port}
    return settings


def test_a_process_is_alive_whatever_it_depends_on(client, settings):
    settings.REDIS = settings.REDIS | {"port": free_port()}
    assert client.get("/livez").status_code == 200


@pytest.mark.django_db
def test_a_process_is_ready_while_redis_and_the_database_answer(client, redis_settings):
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_a_redis_that_is_down_is_named(client, settings):
    settings.REDIS = settings.REDIS | {"host": "127.0.0.1", "port": free_port()}
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["down"]) == (503, ["redis"])


def test_metrics_are_served_as_prometheus_reads_them(client):
    answer = client.get("/metrics")
    assert answer["Content-Type"].startswith("text/plain")
    assert b"python_info" in answer.content
