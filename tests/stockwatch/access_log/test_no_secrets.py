"""No log line of any program shows a secret. All secrets of these tests contain MARK."""

import json
import os

import pytest

from tests.support.gateway.process import GatewayProcess
from tests.support.gateway.raw_socket import dial, make_upgrade
from tests.support.servers.commands import Command
from tests.support.waiting import wait_until

MARK = "hunter2"
SECRETS = {
    "APP_ENV": "production",
    "GATEWAY_ALLOWED_ORIGINS": "https://stocks.example",
    "SECRET_KEY": f"{MARK} 9f8e7d6c5b4a39281706f5e4d3c2b1a0 zyxwvutsrqponmlkjihgfedcba",
    "KAFKA_BROKERS": "127.0.0.1:1",
    "KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
    "KAFKA_SASL_USERNAME": "stockwatch",
    "KAFKA_SASL_PASSWORD": f"{MARK}-kafka",
    "EMAIL_URL": f"smtp+tls://stockwatch:{MARK}-mail@127.0.0.1:1",
    "ALPACA_KEY_ID": f"{MARK}-key",
    "ALPACA_SECRET_KEY": f"{MARK}-alpaca",
    "FEEDS": "alpaca",
    "LOGGER_LEVEL": "debug",
}
UNREACHABLE = {
    "DATABASE_URL": f"postgres://stockwatch:{MARK}-database@127.0.0.1:1/stockwatch",
    "REDIS_URL": f"redis://stockwatch:{MARK}-redis@127.0.0.1:1/0",
}
COMMANDS = ("runkafkagen", "runfeed", "runprocessor", "runrecorder", "runalerts", "rundelivery", "migrate")
FORM = f"username={MARK}-name&password={MARK}-password"
REQUESTS = (
    f"GET /{MARK}-path/?token={MARK} HTTP/1.1",
    f"GET /?token={MARK} HTTP/1.1\r\nCookie: sessionid={MARK}-cookie; look={MARK}",
    f"GET /api/v1/prices?symbols={MARK} HTTP/1.1\r\nAuthorization: Bearer {MARK}-token",
    f"GET /stream?symbols={MARK}&token={MARK} HTTP/1.1",
    f"{MARK} / HTTP/1.1",
    f"GET / HTTP/1.1\r\nX-Request-ID: {MARK} with spaces\r\nX-Forwarded-For: {MARK}",
    f"POST /sign-in/ HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(FORM)}",
)


def test_a_gateway_logs_its_requests_without_their_secrets(run_gateway):
    gateway: GatewayProcess = run_gateway(**SECRETS, GATEWAY_TRUSTED_PROXIES="127.0.0.0/8")
    for request in REQUESTS:
        with dial(gateway) as client:
            client.send(f"{request}\r\nHost: localhost\r\nConnection: close\r\n\r\n{FORM}".encode())
            client.read_head()
    with dial(gateway) as client:
        client.send(
            make_upgrade("localhost", f"/ws?token={MARK}", "X-Request-ID: proxy-1", f"Cookie: sessionid={MARK}")
        )
        status, head = client.read_head()
        assert (status, "x-request-id: proxy-1" in head.lower()) == (101, True)
        client.send_text(f'{{"action":"{MARK}"}}')
    wait_until(lambda: "proxy-1" in gateway.log.read_text())
    text = gateway.log.read_text()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    requests = [line for line in lines if line["event"] == "http request"]
    assert len(requests) >= 5
    assert all(len(line["request_id"]) == 16 for line in requests)
    assert not [line for line in text.splitlines() if MARK in line]


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_program_logs_the_passwords_of_servers_that_it_cannot_reach(tmp_path, form):
    environment = os.environ | SECRETS | UNREACHABLE | {"LOGGER_FORMAT": form}
    environment.pop("REDIS_ADDR", None)
    commands = [Command(name, environment, tmp_path / f"{name}.log") for name in COMMANDS]
    for command in commands:
        wait_until(lambda command=command: command.text or command.process.poll() is not None, 180)
    for command in commands:
        command.kill()
    texts = [command.text for command in commands]
    assert all(texts)
    assert not any("Unknown command" in text for text in texts)
    assert not any("it must be" in text for text in texts), "a program has refused the settings"
    assert not [line for text in texts for line in text.splitlines() if MARK in line]
