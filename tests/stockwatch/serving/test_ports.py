import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stockwatch.local.redis_server import free_port
from stockwatch.serving.ports import PortUnavailable, open_listener, resolve_host
from tests.support.servers.commands import ROOT, Command
from tests.support.waiting import wait_until

SECRET_KEY = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTU"


def test_a_named_host_stays_and_an_empty_one_means_all_addresses():
    assert resolve_host("192.0.2.1", 80) == "192.0.2.1"
    assert resolve_host("192.0.2.1", 80, loopback=True) == "192.0.2.1"
    assert resolve_host("", free_port()) in {"::", "0.0.0.0"}
    assert resolve_host("", free_port(), loopback=True) == "127.0.0.1"


def test_a_port_that_is_held_on_the_other_loopback_address_only_is_reported():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as held:
        port = held.getsockname()[1]
        with pytest.raises(PortUnavailable, match=rf"^\[::1\]:{port} is in use: stop the process"):
            resolve_host("", port, loopback=True)
        with pytest.raises(PortUnavailable, match="is in use"):
            open_listener(resolve_host("", port), port)


@pytest.mark.parametrize(("secret_key", "host"), [("", "127.0.0.1"), (SECRET_KEY, "::")])
def test_a_gateway_with_the_published_key_listens_on_this_machine_only(tmp_path: Path, secret_key: str, host: str):
    variables = {"APP_PORT": f":{free_port()}", "SECRET_KEY": secret_key, "GATEWAY_PROCESSES": "1"}
    variables |= {"DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3", "REDIS_ADDR": "127.0.0.1:1"}
    command = Command("rungateway", os.environ | variables, tmp_path / "log.txt")
    wait_until(lambda: command.logged("gateway listening"), what="the gateway")
    [line] = [line for line in command.lines if line["event"] == "gateway listening"]
    assert line["host"] == host
    assert command.logged("listening on this machine only") == (not secret_key)
    assert command.end() == 0


def test_a_gateway_reports_a_port_that_is_held_on_the_other_loopback_address():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as held:
        port = held.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "manage.py", "rungateway"],
            cwd=ROOT,
            env=os.environ | {"APP_PORT": f":{port}", "SECRET_KEY": "", "LOGGER_LEVEL": "error"},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert ended.returncode == 1
    assert (
        ended.stderr == f"CommandError: [::1]:{port} is in use: stop the process that listens there, or set APP_PORT\n"
    )
