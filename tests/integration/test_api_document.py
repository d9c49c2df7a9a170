"""Sends requests that the OpenAPI document allows, and others, to a real server. The answers must fit the document."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gateway.database import make_token
from tests.support.gateway.process import ROOT

SCHEMATHESIS = [str(Path(sys.executable).with_name("schemathesis")), "--config-file"]
CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture(scope="module")
def gateway(run_gateway):
    gateway = run_gateway("rungateway", API_REQUESTS_PER_MINUTE="1000000")
    for symbol in ("AAPL", "BTC/USD", "^GSPC"):
        gateway.publish(symbol)
    return gateway


def run_schemathesis(gateway, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [*SCHEMATHESIS, str(CONFIG), "run", str(ROOT / "docs/openapi.json"), "--url", f"http://{gateway.address}"]
    return subprocess.run(
        [*command, "--no-color", *options], cwd=folder, env=os.environ, capture_output=True, text=True, timeout=500
    )


def test_every_answer_fits_the_document(gateway, tmp_path):
    token = make_token(gateway)
    finished = run_schemathesis(gateway, tmp_path, "--header", f"Authorization: Bearer {token}")
    assert finished.returncode == 0, finished.stdout[-20_000:] + finished.stderr
    assert gateway.process.poll() is None
