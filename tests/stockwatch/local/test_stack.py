import io
import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from stockwatch.local.stack import PARTS, SERVICES, TURN, TURNS, Plan, Stack, StackFailure, choose_parts, require_port
from stockwatch.local.supervisor import Supervisor
from stockwatch.probe import answers


def make_stack(parts: str, host: str = "127.0.0.1") -> tuple[Stack, Supervisor]:
    supervisor = Supervisor(io.StringIO())
    redis = {"host": "127.0.0.1", "port": 1, "password": None, "db": 0}
    return Stack(Plan(choose_parts(parts, False), host, 8081, Path("manage.py"), {}, redis), supervisor), supervisor


def test_without_a_choice_all_parts_run():
    assert choose_parts("", external=False) == frozenset(PARTS)


def test_parts_are_named_between_commas_in_any_case():
    assert choose_parts(" Redis,kafka ,", external=False) == {"redis", "kafka"}


def test_whatever_the_parts_do_all_is_over_within_nine_seconds():
    assert sorted(name for names in TURNS for name in names) == sorted(SERVICES)
    assert max(turn * TURN + SERVICES[name][1] for turn, names in enumerate(TURNS) for name in names) <= 9


def test_an_unknown_part_is_refused_with_what_there_is():
    with pytest.raises(StackFailure, match="'broker' is no part of the stack: name some of redis, kafka, generator"):
        choose_parts("redis,broker", external=False)


def test_external_leaves_the_servers_out():
    assert choose_parts("", external=True) == {"generator", "processor", "recorder", "gateway"}
    with pytest.raises(StackFailure, match="leaves nothing to run"):
        choose_parts("redis,kafka", external=True)


def test_a_port_in_use_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(StackFailure, match=r"in use.*APP_PORT"):
        require_port("127.0.0.1", listener.getsockname()[1])


def test_a_free_port_is_accepted_and_left_free():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    require_port("127.0.0.1", port)
    require_port("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(StackFailure, match="cannot be used"):
        require_port("192.0.2.1", 8081)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://localhost:8081"),
        ("0.0.0.0", "http://localhost:8081"),
        ("192.0.2.1", "http://192.0.2.1:8081"),
    ],
)
def test_the_page_s_address_is_one_to_click_on(host: str, address: str):
    stack, supervisor = make_stack("gateway", host)
    supervisor.close()
    assert stack.address == address


def test_own_servers_are_described_with_a_line_to_paste():
    stack, _ = make_stack("redis")
    with stack:
        stack.start_servers()
        words, export = stack.describe_servers()
        place = stack.overrides["REDIS_ADDR"]
    assert "Redis in memory" in words
    assert export == f"export REDIS_ADDR={place} REDIS_PASSWORD='' REDIS_DB=0"


def test_external_servers_are_said_to_be_external():
    stack, supervisor = make_stack("generator")
    supervisor.close()
    assert "those that .env and the environment name" in stack.describe_servers()[0]


def test_without_a_price_the_wait_ends_at_its_deadline():
    times = iter([0.0, 1.0, 31.0])
    stack, _ = make_stack("gateway")
    with stack:
        assert stack.await_page(clock=lambda: next(times)) == "shows no price yet"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(self.path[1:]))
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.mark.parametrize(("status", "expected"), [(200, True), (404, True), (503, False)])
def test_a_probe_takes_any_status_below_500_for_an_answer(status: int, expected: bool):
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        assert answers(f"http://127.0.0.1:{server.server_port}/{status}") is expected
        thread.join()


def test_a_probe_of_a_closed_port_is_no_answer():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert not answers(f"http://127.0.0.1:{port}/readyz")
