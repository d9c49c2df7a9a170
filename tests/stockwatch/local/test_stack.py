import io
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stockwatch.local.redis_server import free_port
from stockwatch.local.stack import (
    PARTS,
    SERVICES,
    STOP_ORDER,
    STOP_STEP_SECONDS,
    Plan,
    Stack,
    StackFailure,
    choose_parts,
    require_free_port,
)
from stockwatch.local.supervisor import Supervisor

ONE_SERVER: dict[str, object] = {"host": "127.0.0.1", "port": 1, "password": None, "db": 0}


def make_stack(parts: str, host: str = "127.0.0.1", redis: dict[str, object] = ONE_SERVER) -> tuple[Stack, Supervisor]:
    supervisor = Supervisor(io.StringIO())
    return Stack(Plan(choose_parts(parts, False), host, 8081, Path("manage.py"), {}, redis), supervisor), supervisor


def test_all_parts_run_by_default_and_the_feeder_if_feeds_is_set():
    assert choose_parts("", external=False, has_feeds=True) == frozenset(PARTS)
    assert choose_parts("", external=False) == frozenset(PARTS) - {"feeder"}


def test_parts_are_separated_by_commas_and_in_any_case():
    assert choose_parts(" Redis,kafka ,", external=False) == {"redis", "kafka"}


def test_all_services_end_within_nine_seconds_even_if_they_ignore_sigterm():
    steps = [(step, name) for step, names in enumerate(STOP_ORDER) for name in names]
    assert sorted(name for _, name in steps) == sorted(SERVICES)
    assert max(step * STOP_STEP_SECONDS + SERVICES[name].grace for step, name in steps) <= 9


def test_an_unknown_part_is_refused_with_the_known_ones():
    with pytest.raises(StackFailure, match="'broker' is not a part of the stack: name some of redis, kafka, generator"):
        choose_parts("redis,broker", external=False)


def test_external_omits_the_servers():
    services = {"generator", "processor", "recorder", "alerts", "delivery", "gateway"}
    assert choose_parts("", external=True) == services
    with pytest.raises(StackFailure, match="leaves nothing to run"):
        choose_parts("redis,kafka", external=True)


def test_a_port_in_use_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(StackFailure, match=r"in use.*APP_PORT"):
        require_free_port("127.0.0.1", listener.getsockname()[1])


@contextmanager
def hold_port(held: str, free_at: str) -> Iterator[int]:
    """Listens on the address `held`. Yields the port, which no other process uses at the address `free_at`."""
    with socket.create_server((held, 0), family=family_of(held)) as listener:
        port = listener.getsockname()[1]
        try:
            socket.create_server((free_at, port), family=family_of(free_at)).close()
        except OSError:
            with hold_port(held, free_at) as another:
                yield another
        else:
            yield port


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@pytest.mark.parametrize(("held", "host"), [("::1", "127.0.0.1"), ("::1", "0.0.0.0"), ("127.0.0.1", "::1")])
def test_a_port_in_use_on_the_other_loopback_address_is_refused(held: str, host: str):
    with hold_port(held, free_at=host) as port, pytest.raises(StackFailure) as failure:
        require_free_port(host, port)
    assert re.match(rf"\[?{held}\]?:{port} cannot be used \(Address already in use\)", str(failure.value))


def test_a_free_port_is_accepted_and_stays_free():
    port = free_port()
    require_free_port("127.0.0.1", port)
    with socket.create_server(("127.0.0.1", port)) as listener:
        assert listener.getsockname()[1] == port


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(StackFailure, match="cannot be used"):
        require_free_port("192.0.2.1", 8081)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://localhost:8081"),
        ("0.0.0.0", "http://localhost:8081"),
        ("192.0.2.1", "http://192.0.2.1:8081"),
    ],
)
def test_the_page_url_works_in_a_browser_on_this_machine(host: str, url: str):
    stack, supervisor = make_stack("gateway", host)
    supervisor.close()
    assert stack.page_url == url


def test_own_servers_are_described_with_an_export_line():
    stack, _ = make_stack("redis")
    with stack:
        stack.start_servers()
        description, export = stack.describe_servers()
        address = stack.overrides["REDIS_ADDR"]
    assert "Redis in memory" in description
    assert export == f"export REDIS_ADDR={address} REDIS_PASSWORD='' REDIS_DB=0"


def test_an_own_server_is_no_cluster_even_if_the_settings_name_one():
    stack, _ = make_stack("redis", redis={"nodes": (("127.0.0.1", 1),), "password": None})
    with stack:
        stack.start_servers()
        assert stack.describe_servers()[1].endswith(" REDIS_DB=0 REDIS_CLUSTER=false")


def test_external_servers_are_described_as_those_of_the_environment():
    stack, supervisor = make_stack("generator")
    supervisor.close()
    assert "the Redis and Kafka that .env and the environment name" in stack.describe_servers()[0]


def test_waiting_for_the_page_ends_at_the_deadline_if_no_price_arrives():
    times = iter([0.0, 1.0, 31.0])
    stack, _ = make_stack("gateway")
    with stack:
        assert stack.wait_for_page(clock=lambda: next(times)) == "shows no price yet"
