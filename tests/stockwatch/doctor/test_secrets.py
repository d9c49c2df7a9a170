"""Which texts the doctor never shows, and which time limits it accepts."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from stockwatch.doctor.subjects import SOURCE_URLS, list_secrets
from tests.support.servers.commands import ROOT


def make_settings(**more: object) -> SimpleNamespace:
    names = ("SECRET_KEY", "EMAIL_HOST_PASSWORD", "ALPACA_SECRET_KEY", "ALPACA_KEY_ID")
    plain = dict.fromkeys(names, "") | dict.fromkeys(SOURCE_URLS, "")
    empty = {"REDIS": {}, "KAFKA_OPTIONS": {}, "SECRET_KEY_FALLBACKS": [], "DATABASES": {"default": {}}}
    return SimpleNamespace(**plain | empty | more)


@pytest.mark.parametrize(
    "settings",
    [
        {"SECRET_KEY": "hunter2"},
        {"SECRET_KEY_FALLBACKS": ["hunter2"]},
        {"EMAIL_HOST_PASSWORD": "hunter2"},
        {"REDIS": {"password": "hunter2"}},
        {"REDIS": {"sentinel_password": "hunter2"}},
        {"KAFKA_OPTIONS": {"sasl.password": "hunter2", "sasl.username": "stockwatch"}},
        {"KAFKA_OPTIONS": {"ssl.key.password": "hunter2"}},
        {"KAFKA_OPTIONS": {"sasl.oauthbearer.client.secret": "hunter2"}},
        {"KAFKA_OPTIONS": {"ssl.key.pem": "hunter2"}},
        {"DATABASES": {"default": {"PASSWORD": "hunter2", "OPTIONS": {"sslmode": "require"}}}},
        {"DATABASES": {"default": {"PASSWORD": "", "OPTIONS": {"password": "hunter2"}}}},
        {"DATABASES": {"default": {"OPTIONS": {"sslpassword": "hunter2"}}}},
        {"KRAKEN_URL": "wss://stockwatch:hunter2@proxy.example.org/", "BINANCE_URL": "wss://[::1"},
        {"ALPACA_REST_URL": "https://stockwatch:hunter2@proxy.example.org/"},
    ],
)
def test_each_secret_of_the_settings_is_known(settings: dict[str, object]):
    assert list_secrets(make_settings(**settings)) == ["hunter2"]


@pytest.mark.parametrize("seconds", ["inf", "nan", "-5", "0", "1e10", "soon"])
def test_a_time_limit_that_cannot_be_waited_for_ends_with_2(seconds: str):
    command = [sys.executable, "manage.py", "doctor", "python", f"--timeout={seconds}"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2, ended.stderr
    assert "write a number of seconds above 0, at most 3600" in ended.stderr
