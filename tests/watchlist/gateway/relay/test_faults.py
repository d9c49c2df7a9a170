"""No last price is lost while the relay, a gateway process or Redis fails."""

import os
import shutil
import signal

import pytest

from stockwatch.local.redis_server import RedisServer
from tests.support.gateway.price_clients import PriceClients, Publishing, count_deliveries, publish_all, read_quotes
from tests.support.gateway.process import ROOT, GatewayProcess, find_relay, find_workers
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("redis_client")  # clears Redis before each test
PROCESSES = 4
LARGE = b"x" * 64 * 1024


@pytest.fixture(scope="module")
def gateway(run_gateway):
    return run_gateway(GATEWAY_PROCESSES=str(PROCESSES))


@pytest.fixture
def clients(gateway):
    with PriceClients(gateway) as clients:
        wait_until(lambda: gateway.metric("relay_connected") == PROCESSES)
        yield clients


def wait_for_relay(gateway):
    """Waits until all prices come through the relay alone again."""
    wait_until(lambda: gateway.metric("relay_connected") == PROCESSES)
    wait_until(lambda: count_deliveries(gateway) == 1)


def test_while_the_relay_is_stopped_each_process_subscribes_itself(gateway, clients):
    fallbacks, losses = gateway.metric("relay_fallbacks_total"), gateway.metric("channel_layer_losses_total")
    relay = find_relay(gateway)
    try:
        with Publishing(gateway):
            os.kill(relay, signal.SIGSTOP)
            wait_until(lambda: count_deliveries(gateway) == PROCESSES + 1)
        clients.wait_for(read_quotes(gateway))
        # Each process writes its metrics once per second.
        wait_until(lambda: gateway.metric("relay_connected") == 0)
        wait_until(lambda: gateway.metric("relay_fallbacks_total") == fallbacks + PROCESSES)
        wait_until(lambda: gateway.metric("channel_layer_losses_total") == losses + PROCESSES)
        assert gateway.get("/readyz")[0] == 200
        with Publishing(gateway):
            os.kill(relay, signal.SIGCONT)
            wait_for_relay(gateway)
        clients.wait_for(read_quotes(gateway))
    finally:
        os.kill(relay, signal.SIGCONT)  # a stopped process would outlive its parent
    assert find_relay(gateway) == relay
    assert "the relay is silent" in gateway.log.read_text()


def test_a_killed_relay_is_replaced(gateway, clients):
    relay = find_relay(gateway)
    with Publishing(gateway):
        os.kill(relay, signal.SIGKILL)
        wait_until(lambda: find_relay(gateway) not in (0, relay))
        wait_for_relay(gateway)
    clients.wait_for(read_quotes(gateway))
    assert "relay died, restarting" in gateway.log.read_text()


def test_a_relay_that_is_killed_again_and_again_loses_no_last_price(gateway, clients):
    with Publishing(gateway):
        for _ in range(5):
            relay = wait_until(lambda: find_relay(gateway))
            os.kill(relay, signal.SIGKILL)
            wait_until(lambda relay=relay: find_relay(gateway) not in (0, relay))
            wait_until(lambda: gateway.metric("relay_connected") > 0)
    clients.wait_for(read_quotes(gateway))
    wait_for_relay(gateway)
    clients.wait_for(publish_all(gateway))


def test_a_process_that_does_not_read_slows_no_other_and_gets_the_newest_prices_later(gateway, clients):
    stopped, *others = clients.clients
    os.kill(stopped, signal.SIGSTOP)
    try:
        while "dropped a process that does not read" not in gateway.log.read_text():
            for _ in range(50):
                gateway.redis.publish("prices.AAPL", LARGE)
            newest = publish_all(gateway)
            for pid in others:
                clients.wait_for_one(pid, newest)
    finally:
        os.kill(stopped, signal.SIGCONT)
    clients.wait_for(newest)
    wait_for_relay(gateway)
    clients.wait_for(publish_all(gateway))


def test_a_process_that_dies_is_replaced_and_gets_prices_through_the_relay(gateway, clients):
    victim = next(iter(clients.clients))
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in find_workers(gateway) and len(find_workers(gateway)) == PROCESSES)
    with PriceClients(gateway) as later:
        wait_for_relay(gateway)
        later.wait_for(publish_all(gateway))


def test_no_last_price_is_lost_when_redis_is_killed_and_comes_back(run_gateway):
    with RedisServer() as server:
        gateway = run_gateway(server=server, GATEWAY_PROCESSES=str(PROCESSES))
        with PriceClients(gateway) as clients:
            wait_until(lambda: gateway.metric("relay_connected") == PROCESSES)
            with Publishing(gateway):
                server.kill()
                wait_until(lambda: gateway.get("/readyz")[0] == 503)
                wait_until(lambda: gateway.metric("channel_layer_connected") == 0)
                server.start()
                wait_until(lambda: gateway.get("/readyz")[0] == 200)
                wait_for_relay(gateway)
            clients.wait_for(read_quotes(gateway))
        assert "Traceback" not in gateway.log.read_text()
        gateway.stop()


def test_a_gateway_that_starts_without_redis_uses_the_relay_later(run_gateway):
    with RedisServer() as server:
        gateway = run_gateway(server=server, GATEWAY_PROCESSES=str(PROCESSES))
        server.kill()
        with PriceClients(gateway) as clients:
            wait_until(lambda: gateway.get("/readyz")[0] == 503)
            server.start()
            wait_for_relay(gateway)
            clients.wait_for(publish_all(gateway))
            wait_until(lambda: gateway.get("/readyz")[0] == 200)
        assert "Traceback" not in gateway.log.read_text()
        gateway.stop()


def test_a_process_of_another_version_than_the_relay_subscribes_itself(tmp_path, ticker_database, redis_server):
    project = copy_code(tmp_path / "project")
    gateway = GatewayProcess(tmp_path, ticker_database, redis_server, "rungateway", GATEWAY_PROCESSES="2")
    gateway.project = project
    gateway.start()
    try:
        framing = project / "watchlist" / "gateway" / "relay" / "framing.py"
        framing.write_text(framing.read_text().replace("VERSION = 1", "VERSION = 2"))
        old = find_workers(gateway)
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(find_workers(gateway)) == 2 and not set(old) & set(find_workers(gateway)))
        with PriceClients(gateway) as clients:
            wait_until(lambda: count_deliveries(gateway) == 2)
            clients.wait_for(publish_all(gateway))
            assert gateway.metric("relay_connected") == 0
            assert gateway.get("/readyz")[0] == 200
        assert gateway.log.read_text().count("another version") == 2  # one line per process
    finally:
        gateway.stop()


def copy_code(folder):
    """Copies the project's programs, so that a test can change them."""
    ignored = shutil.ignore_patterns("__pycache__", "*.sqlite3")
    for name in ("feeds", "watchlist", "stockwatch", "templates", "static"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "manage.py", folder)
    return folder
