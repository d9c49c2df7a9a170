"""When the processes of a gateway share one subscription to Redis."""

import os
import signal

import pytest

from tests.support.gateway.price_clients import PriceClients, count_deliveries, publish_all
from tests.support.gateway.process import find_relay, find_workers, runs
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("redis_client")  # clears Redis before each test


def test_redis_delivers_each_update_once_to_four_processes_that_all_need_it(run_gateway):
    gateway = run_gateway(GATEWAY_PROCESSES="4")
    with PriceClients(gateway) as clients:
        wait_until(lambda: gateway.metric("relay_connected") == 4)
        clients.wait_for(publish_all(gateway))
        assert count_deliveries(gateway) == 1
        subscribed = gateway.redis.execute_command("CLIENT", "LIST", "TYPE", "PUBSUB").splitlines()
        assert len(subscribed) == 1
        assert gateway.metric("relay_fallbacks_total") == 0


def test_without_the_relay_redis_delivers_each_update_to_each_process(run_gateway):
    gateway = run_gateway(GATEWAY_PROCESSES="2", GATEWAY_RELAY="false")
    with PriceClients(gateway) as clients:
        wait_until(lambda: count_deliveries(gateway) == 2)
        clients.wait_for(publish_all(gateway))
        assert not find_relay(gateway)
        assert gateway.metric("relay_connected") == 0


def test_a_single_process_has_no_relay(run_gateway):
    gateway = run_gateway()
    with gateway.connect() as client:
        client.send('["AAPL"]')
        wait_until(lambda: gateway.redis.publish("prices.AAPL", b"counted") == 1)
        assert not find_relay(gateway)


def test_a_symbol_that_no_client_needs_is_unsubscribed(run_gateway):
    gateway = run_gateway(GATEWAY_PROCESSES="2")
    with PriceClients(gateway) as clients:
        first, second = clients.clients.values()
        for client in (first, second):
            wait_until(lambda: gateway.redis.pubsub_numsub("prices.GOOG")[0][1] == 1)
            client.send('{"action":"unsubscribe","payload":{"symbols":["GOOG"]}}')
        wait_until(lambda: gateway.redis.pubsub_numsub("prices.GOOG")[0][1] == 0)
        assert gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_relay_ends_with_its_gateway(run_gateway, number):
    gateway = run_gateway(GATEWAY_PROCESSES="2")
    relay = wait_until(lambda: find_relay(gateway))
    gateway.signal(number)
    gateway.wait()
    wait_until(lambda: not runs(relay))


def test_a_relay_that_gets_sigterm_serves_until_no_process_needs_it(run_gateway):
    gateway = run_gateway(GATEWAY_PROCESSES="2")
    with PriceClients(gateway) as clients:
        wait_until(lambda: gateway.metric("relay_connected") == 2)
        relay = find_relay(gateway)
        os.kill(relay, signal.SIGTERM)
        for _ in range(20):
            clients.wait_for(publish_all(gateway))
        assert (gateway.metric("relay_fallbacks_total"), find_relay(gateway)) == (0, relay)
        assert len(find_workers(gateway)) == 2
