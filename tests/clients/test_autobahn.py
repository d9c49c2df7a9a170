"""Autobahn's cases, played by kosoku against an application that echoes, under the Daphne that the gateway runs on."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from stockwatch.local.redis_server import free_port
from tests.support.gateway.process import ROOT
from tests.support.waiting import wait_until

pytestmark = pytest.mark.clients
PAGE = (ROOT / "docs" / "protocol.md").read_text()
LISTED = re.findall(r"\b\d+\.\d+\.\d+\b|\b\d+\.\*", PAGE.split("Those that do not pass:")[1])
TIMED = ["9.7.1", "9.8.1"]
"""Of those listed the ones that take 20 s each to fail: a thousand empty messages."""
LARGEST = str(17 * 2**20)


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    """The address of an echo under plain Daphne; messages of 16 MiB are among the cases."""
    port = free_port()
    options = ["--websocket-max-message-size", LARGEST, "--websocket-max-frame-size", LARGEST]
    command = [sys.executable, "-m", "daphne", "-p", str(port), *options, "tests.clients.echo:application"]
    log = Path(tmp_path_factory.mktemp("echo")) / "log"
    with log.open("wb") as output, subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output) as process:
        wait_until(lambda: "Listening on" in log.read_text(), 30)
        yield f"ws://127.0.0.1:{port}"
        process.kill()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # kosoku leaves its own files open
async def test_every_case_passes_but_those_that_are_listed_with_their_reason(echo):
    from kosoku import FailureError, run_fuzzingclient

    async def play(**choice):
        """Results by case; kosoku knows one event loop a process."""
        with pytest.raises(FailureError) as caught:
            await run_fuzzingclient(echo, concurrency=4, **choice)
        return {result.case_id: result for result in caught.value.results}

    without = [*(case for case in LISTED if case.endswith("*")), *TIMED]
    results = await play(exclude_cases=without)
    assert len(results) > 290
    assert {case for case, result in results.items() if not result.passed} == set(LISTED) - set(without)
    compressed = await play(cases=["12.1.1", "13.1.1"])
    assert {result.behavior.value for result in compressed.values()} == {"UNIMPLEMENTED"}
