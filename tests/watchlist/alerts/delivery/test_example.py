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


def test_the_example_prints_a_repeated_webhook_once_also_with_another_unsigned_key(example):
    port = example.stdout.readline().split()[-1]
    body = make_firing_body(FIRING)
    headers = make_headers([SECRET], "12-3", int(time.time()), body)
    for key in ("12-3", "12-4"):
        CLIENT.post(f"http://127.0.0.1:{port}/", headers | {"Idempotency-Key": key}, body)
    post(port, [SECRET], make_test_body(FIRED_AT), key="test-1")
    assert [example.stdout.readline() for _ in range(2)] == ["AAPL 150.1 at or above 150.00\n", "alert.test\n"]


@pytest.mark.parametrize(
    "changed",
    [{"webhook-signature": "v1,é"}, {"webhook-timestamp": "9" * 5000}, {"webhook-timestamp": "²"}],
)
def test_the_example_answers_requests_with_wrong_headers(example, changed):
    port = example.stdout.readline().split()[-1]
    headers = make_headers([SECRET], "12-3", int(time.time()), b"{}")
    encoded = {name: value.encode("latin-1") for name, value in (headers | changed).items()}
    outcome = CLIENT.post(f"http://127.0.0.1:{port}/", encoded, b"{}")
    assert outcome.error == "the receiver answered 401 Unauthorized"
