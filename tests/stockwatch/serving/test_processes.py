import os
import signal
import subprocess
from contextlib import ExitStack, suppress

import pytest
from websockets.exceptions import InvalidStatus

from tests.bench.returning import roll_case
from tests.support.gateway.process import (
    FRAME_TIMEOUT_SECONDS,
    count_listeners,
    find_workers,
    receive_frame,
    runs,
    served_by,
)
from tests.support.gateway.raw_socket import dial, make_upgrade
from tests.support.waiting import wait_until


def connect_to_several_processes(gateway, stack, at_least=2):
    """Opens sockets until at least `at_least` processes serve one; returns the sockets."""
    clients = []

    def is_distributed():
        client = stack.enter_context(gateway.connect())
        client.send('{"action":"ping"}')
        receive_frame(client)
        clients.append(client)
        return len({served_by(client) for client in clients}) >= at_least

    wait_until(is_distributed)
    return clients


@pytest.fixture(autouse=True)
def empty_redis(redis_client):
    return redis_client


@pytest.fixture(scope="module")
def gateway(run_gateway):
    return run_gateway("rungateway", GATEWAY_PROCESSES="2", GATEWAY_MAX_CONNECTIONS="40")


def test_connections_are_distributed_over_the_processes_and_each_gets_its_prices(gateway):
    with ExitStack() as stack:
        clients = connect_to_several_processes(gateway, stack)
        for client in clients:
            client.send('{"action":"subscribe","payload":{"symbols":["AAPL"]}}')
            assert receive_frame(client)["type"] == "ack"
        wait_until(lambda: gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 1)
        update = gateway.publish("AAPL")
        assert {receive_frame(client)["seq_id"] for client in clients} == {update.seq_id}


def test_any_process_shows_the_metrics_of_all(gateway):
    with ExitStack() as stack:
        clients = connect_to_several_processes(gateway, stack)
        wait_until(lambda: gateway.metric("connections") == len(clients))


def test_any_process_shows_memory_and_cpu_time_of_each(gateway):
    def is_shown(name, least):
        samples = [line.split(" ") for line in gateway.get("/metrics")[1].splitlines() if line.startswith(name)]
        values = {series: float(value) for series, value in samples}
        return set(values) == {f'{name}{{process="{number}"}}' for number in range(2)} and min(values.values()) > least

    for name, least in (("process_resident_memory_bytes", 1e6), ("process_cpu_seconds_total", 0)):
        wait_until(lambda name=name, least=least: is_shown(name, least))


def test_the_limit_on_connections_holds_over_all_processes(gateway):
    wait_until(lambda: gateway.metric("connections") == 0)
    with ExitStack() as stack:
        opened = 0
        with suppress(InvalidStatus):
            for _ in range(60):
                stack.enter_context(gateway.connect())
                opened += 1
        assert opened == 40


def test_the_limit_on_sockets_of_an_address_holds_over_all_processes(run_gateway):
    gateway = run_gateway("rungateway", GATEWAY_PROCESSES="2", GATEWAY_MAX_PER_ADDRESS="20")
    with ExitStack() as stack:
        clients = connect_to_several_processes(gateway, stack)
        with suppress(InvalidStatus):
            for _ in range(60):
                clients.append(stack.enter_context(gateway.connect()))
        assert len(clients) == 20


def test_a_process_that_dies_is_replaced_while_the_others_serve(gateway):
    with ExitStack() as stack:
        clients = connect_to_several_processes(gateway, stack)
        pids = [wait_until(lambda client=client: served_by(client)) for client in clients]
        victim = pids[0]
        survivor = next(client for client, pid in zip(clients, pids, strict=True) if pid != victim)
        os.kill(victim, signal.SIGKILL)
        survivor.send('{"action":"ping"}')
        assert receive_frame(survivor)["type"] == "pong"
        wait_until(lambda: len(find_workers(gateway)) == 2 and victim not in find_workers(gateway))
        assert "gateway process died, restarting" in gateway.log.read_text()


def test_connections_in_the_queue_of_a_killed_process_are_served_by_its_replacement(run_gateway):
    gateway = run_gateway("rungateway", GATEWAY_PROCESSES="2")
    wait_until(lambda: count_listeners(gateway) == 2)
    victim = find_workers(gateway)[0]
    os.kill(victim, signal.SIGSTOP)
    with ExitStack() as stack:
        clients = [stack.enter_context(dial(gateway)) for _ in range(40)]
        for client in clients:
            client.send(make_upgrade(gateway.address))
        wait_until(lambda: count_queued(gateway) > 0)
        os.kill(victim, signal.SIGKILL)
        assert {client.read_head()[0] for client in clients} == {101}
    assert victim not in find_workers(gateway)


def count_queued(gateway):
    """Returns how many connections wait in the queues of the gateway's sockets."""
    output = subprocess.run(["ss", "-ltnH", f"sport = :{gateway.port}"], capture_output=True, text=True).stdout
    return sum(int(line.split()[1]) for line in output.splitlines())


def test_a_draining_process_gets_no_new_connections(run_gateway):
    gateway = run_gateway("rungateway", GATEWAY_PROCESSES="2", GATEWAY_DRAIN="60s")
    wait_until(lambda: count_listeners(gateway) == 2)
    with ExitStack() as stack:
        clients = connect_to_several_processes(gateway, stack)
        victim = wait_until(lambda: served_by(clients[0]))
        os.kill(victim, signal.SIGTERM)
        wait_until(lambda: count_listeners(gateway) == 1)
        for _ in range(20):
            client = stack.enter_context(gateway.connect())
            client.send('{"action":"ping"}')
            assert receive_frame(client)["type"] == "pong"
            assert served_by(client) != victim
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: count_listeners(gateway) == 2)


def test_all_processes_close_their_sockets_before_they_exit(run_gateway):
    gateway = run_gateway("rungateway", GATEWAY_PROCESSES="2")
    with ExitStack() as stack:
        clients = connect_to_several_processes(gateway, stack)
        pids = find_workers(gateway)
        gateway.signal()
        for client in clients:
            with suppress(Exception):
                while True:
                    client.recv(timeout=FRAME_TIMEOUT_SECONDS)
            assert client.close_code == 4001
    assert gateway.wait() == 0
    assert not any(runs(pid) for pid in pids)


def test_no_process_outlives_a_parent_that_was_killed(run_gateway):
    gateway = run_gateway("rungateway", GATEWAY_PROCESSES="2")
    pids = wait_until(lambda: find_workers(gateway))
    gateway.signal(signal.SIGKILL)
    gateway.wait()
    wait_until(lambda: not any(runs(pid) for pid in pids))


def test_after_a_rolling_restart_under_load_every_client_has_the_newest_prices():
    found = roll_case(30)
    assert (found["pages"], found["lost"], found["newest"]) == (30, 30, 30)
