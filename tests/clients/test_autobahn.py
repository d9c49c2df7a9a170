"""Runs Autobahn's conformance cases with kosoku against echoes on the front and under Daphne."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from stockwatch.local.redis_server import free_port
from tests.support.gateway.process import ROOT
from tests.support.waiting import wait_until

# An import of kosoku would replace modules of autobahn in this process.
HAS_KOSOKU = find_spec("kosoku") is not None
pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(not HAS_KOSOKU, reason="kosoku is missing: make test-clients installs it where it has wheels"),
]
PAGE = (ROOT / "docs" / "protocol.md").read_text()
KNOWN_FAILURES = re.findall(r"\b\d+\.\d+\.\d+\b|\b\d+\.\*", PAGE.split("these cases fail:")[1])
DECLINED = re.findall(r"\b13\.\d+\b", PAGE.split("are declined:")[1].split(".\n")[0])
SLOW_FAILURES = ["9.7.1", "9.8.1"]
"""Listed cases that are not run, because each takes 20 s to fail: a thousand empty messages."""
PLAY_SECONDS = 1200
MAX_MESSAGE_BYTES = str(17 * 2**20)


@contextmanager
def run_echo(folder: Path, port: int, *arguments: str) -> Iterator[str]:
    """Runs an echo until the end of the block. Yields its URL."""
    log = folder / "log"
    command = [sys.executable, "-m", *arguments]
    with log.open("wb") as output, subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output) as process:
        try:
            wait_until(lambda: "Listening on" in log.read_text(), 60)
            yield f"ws://127.0.0.1:{port}/ws"
        finally:
            process.kill()


@pytest.fixture(scope="module")
def daphne_echo(tmp_path_factory):
    """Some cases have messages of 16 MiB."""
    port = free_port()
    options = ["--websocket-max-message-size", MAX_MESSAGE_BYTES, "--websocket-max-frame-size", MAX_MESSAGE_BYTES]
    with run_echo(
        tmp_path_factory.mktemp("echo"), port, "daphne", "-p", str(port), *options, "tests.clients.echo:application"
    ) as url:
        yield url


@pytest.fixture(scope="module")
def front_echo(tmp_path_factory):
    port = free_port()
    with run_echo(tmp_path_factory.mktemp("echo"), port, "tests.clients.front_echo", str(port)) as url:
        yield url


def play(url: str, **choice) -> dict[str, tuple[bool, str]]:
    """Returns from each case whether it passed, and its behavior."""
    command = [sys.executable, "-m", "tests.clients.conformance", url, json.dumps(choice)]
    output = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=PLAY_SECONDS).stdout
    return json.loads(output.splitlines()[-1])


def test_under_daphne_all_cases_pass_except_the_documented_ones(daphne_echo):
    excluded = [*(case for case in KNOWN_FAILURES if case.endswith("*")), *SLOW_FAILURES]
    results = play(daphne_echo, exclude_cases=excluded)
    assert len(results) > 290
    assert {case for case, (passed, _) in results.items() if not passed} == set(KNOWN_FAILURES) - set(excluded)
    compressed = play(daphne_echo, cases=["12.1.1", "13.1.1"])
    assert {behavior for _, behavior in compressed.values()} == {"UNIMPLEMENTED"}


def test_on_the_front_all_cases_without_compression_pass(front_echo):
    results = play(front_echo, exclude_cases=["12.*", "13.*"])
    assert len(results) > 300
    assert {case: behavior for case, (passed, behavior) in results.items() if not passed} == {}


def test_on_the_front_all_cases_of_compression_pass_unless_the_offer_is_declined(front_echo):
    results = play(front_echo, cases=["12.*", "13.*"])
    assert len(results) == 90 + 126
    failed = {case: behavior for case, (passed, behavior) in results.items() if not passed}
    assert set(failed.values()) == {"UNIMPLEMENTED"}
    assert {case.rpartition(".")[0] for case in failed} == set(DECLINED)
    assert len(failed) == 18 * len(DECLINED)
