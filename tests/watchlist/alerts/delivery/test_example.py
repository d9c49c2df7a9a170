"""Tests the example of a receiver in `examples/` with real requests."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from tests.support.delivery.firings import FIRED_AT, FIRING
from tests.support.source_files import ROOT
from watchlist.alerts.delivery.outcomes import Outcome
from watchlist.alerts.delivery.webhooks.client import WebhookClient
from watchlist.alerts.delivery.webhooks.payload import make_firing_body, make_test_body
from watchlist.alerts.delivery.webhooks.signature import make_headers, make_secret

SECRET = make_secret()
CLIENT = WebhookClient([ip_network("127.0.0.0/8")])


@pytest.fixture
def example() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(ROOT / "examples/webhook_receiver.py"), "0"]
    environment = os.environ | {"STOCKWATCH_SECRET": SECRET}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def post(port: str, secrets: list[str], body: bytes, age: int = 0, key: str = "12-3") -> Outcome:
    headers = make_headers(secrets, key, int(time.time()) - age, body)
    return CLIENT.post(f"http://127.0.0.1:{port}/", headers, body)


def test_the_example_accepts_genuine_webhooks_once_and_refuses_others(example):
    port = example.stdout.readline().split()[-1]
    body = make_firing_body(FIRING)
    refused = [
        post(port, [make_secret()], body),
        post(port, [SECRET], body, age=3600),
        post(port, [], body),
    ]
    assert {outcome.error for outcome in refused} == {"the receiver answered 401 Unauthorized"}
    accepted = [
        post(port, [SECRET], body),
        post(port, [SECRET], body),
        post(port, [make_secret(), SECRET], make_test_body(FIRED_AT), key="test-1"),
    ]
    assert [outcome.error for outcome in accepted] == ["", "", ""]
    assert example.stdout.readline() == "AAPL 150.1 at or above 150.00\n"
    assert example.stdout.readline() == "alert.test\n"
