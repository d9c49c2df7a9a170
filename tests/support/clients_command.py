"""Runs `manage.py clients` for a gateway, and connects clients that the command lists or closes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import InvalidStatus
from websockets.http11 import Response
from websockets.sync.client import ClientConnection

from tests.support.gateway.process import FRAME_TIMEOUT_SECONDS, ROOT, GatewayProcess
from tests.support.waiting import wait_until


def run_clients(gateway: GatewayProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "clients", *arguments],
        cwd=ROOT,
        env=os.environ | gateway.variables,
        capture_output=True,
        text=True,
        timeout=120,
    )


def succeed(gateway: GatewayProcess, *arguments: str) -> str:
    ended = run_clients(gateway, *arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@contextmanager
def connect_from(gateway: GatewayProcess, address: str) -> Iterator[ClientConnection]:
    """A context with a client that has subscribed to two symbols."""
    options = {"additional_headers": {"X-Forwarded-For": address}, "open_timeout": FRAME_TIMEOUT_SECONDS}
    with gateway.connect(**options) as client:
        client.send('["AAPL","GOOG"]')
        yield client


def receive_sequence(client: ClientConnection, last: int) -> list[int]:
    """Returns the seq_ids of AAPL up to `last`."""
    received = []
    while not received or received[-1] != last:
        update = json.loads(client.recv(timeout=FRAME_TIMEOUT_SECONDS))
        received += [update["seq_id"]] * (update["symbol"] == "AAPL")
    return received


def list_clients(gateway: GatewayProcess, total: int) -> dict[str, Any]:
    """Returns the list of `total` connections. A process may be too busy to answer in time, or have just ended."""

    def find() -> dict[str, Any] | None:
        answer = json.loads(succeed(gateway, "--json"))
        return answer if (answer["total"], answer["missing"]) == (total, []) else None

    return wait_until(find, what="a complete list")


def find_refusal(connect: Callable[[], ClientConnection]) -> Response | None:
    """Returns the response that refuses a new connection; None if it is accepted."""
    try:
        with connect():
            return None
    except InvalidStatus as refused:
        return refused.response
