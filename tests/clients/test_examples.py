import sys

import pytest

from tests.support.clients import find_program
from tests.support.gateway.process import ROOT
from tests.support.odd_gateway import serve_odd_frames

pytestmark = pytest.mark.clients


@pytest.fixture
def command_of(request):
    """Returns a function that returns the command of an example, without its URL and symbols."""

    def find_command(name):
        if name == "websocat":
            find_program("websocat", "make test-clients installs it, or see https://github.com/vi/websocat")
            return [
                "env",
                f"PATH={ROOT / 'build'}:{sys.exec_prefix}/bin:/usr/local/bin:/usr/bin:/bin",
                "examples/websocat.sh",
            ]
        if name == "python":
            return [sys.executable, "examples/watch.py"]
        if name == "node":
            folder = request.getfixturevalue("node_folder")(ROOT / "examples" / "node")
            return [request.getfixturevalue("node"), str(folder / "watch.mjs")]
        return [request.getfixturevalue("go_program")]

    return find_command


@pytest.mark.parametrize("name", ["websocat", "python", "node", "go"])
def test_an_example_prints_updates_and_reconnects(run_gateway, run, command_of, name):
    command = command_of(name)
    gateway = run_gateway("rungateway")
    first = gateway.publish("AAPL", 101.0)
    program = run([*command, f"ws://{gateway.address}/ws", "AAPL", "GOOG"])
    program.wait_for_output(f'"seq_id":{first.seq_id}')
    live = gateway.publish("GOOG", 99.5)
    program.wait_for_output(f'"seq_id":{live.seq_id}')
    gateway.signal()
    gateway.wait()
    gateway.start()
    again = gateway.publish("AAPL", 102.0)
    program.wait_for_output(f'"seq_id":{again.seq_id}')


@pytest.mark.parametrize("name", ["python", "node", "go"])
def test_an_example_ignores_frames_that_it_does_not_know(run, command_of, name):
    with serve_odd_frames() as address:
        program = run([*command_of(name), address, "AAPL"])
        program.wait_for_output('"price":123.5')


@pytest.mark.parametrize("name", ["python", "node", "go"])
@pytest.mark.parametrize(
    ("path", "symbol", "message"),
    [
        ("/ws", "XXXX", "No valid/new symbols provided"),
        ("/elsewhere", "AAPL", "refused: 404"),
        ("/ws", "x" * 70_000, "closed for good: 4502"),
    ],
    ids=["unknown symbol", "another path", "too large"],
)
def test_an_example_ends_if_reconnecting_is_useless(gateway, run, command_of, name, path, symbol, message):
    program = run([*command_of(name), f"ws://{gateway.address}{path}", symbol])
    assert program.wait() == 1
    assert program.errors.splitlines()[-1].endswith(message)
