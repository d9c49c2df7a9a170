"""`manage.py watch` as a process with a real gateway, in a pipe and on a terminal."""

import os
import pty
import signal
import subprocess
import sys
import threading
from io import StringIO

import pytest
from rich.console import Console

from tests.support.gateway.process import ROOT
from tests.support.odd_gateway import serve_odd_frames
from tests.support.waiting import wait_until
from watchlist.terminal.client import GatewayRefused, add_options
from watchlist.terminal.display import TableDisplay, now_micros
from watchlist.terminal.state import WatchState


class Watch:
    """Runs the command in a process and collects its output."""

    def __init__(self, *arguments, output=subprocess.PIPE):
        command = [sys.executable, "manage.py", "watch", *arguments]
        variables = os.environ | {"STALE_AFTER": "1s", "COLUMNS": "100", "TERM": "xterm"}
        self.process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=output, stderr=subprocess.PIPE)
        self.out, self.errors = b"", b""
        sources = {"out": self.process.stdout, "errors": self.process.stderr}
        self.readers = [threading.Thread(target=self._read, args=item) for item in sources.items() if item[1]]
        for reader in self.readers:
            reader.start()

    def _read(self, name, source):
        while data := source.read1():
            setattr(self, name, getattr(self, name) + data)

    def stop(self, signal_number=None):
        if signal_number:
            self.process.send_signal(signal_number)
        status = self.process.wait(60)
        for reader in self.readers:
            reader.join()
        for source in (self.process.stdout, self.process.stderr):
            if source:
                source.close()
        return status


@pytest.fixture
def watch():
    started = []

    def start(*arguments, **options):
        started.append(Watch(*arguments, **options))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.stop()


@pytest.fixture(scope="module")
def gateway(run_gateway):
    return run_gateway("rungateway")


@pytest.fixture
def url(gateway):
    return f"--url=ws://{gateway.address}/ws"


def test_a_pipe_gets_one_line_per_update_and_the_state_goes_to_stderr(gateway, watch, url):
    first = gateway.publish("AAPL", 101.0)
    process = watch("aapl", "XXXX", url)
    wait_until(lambda: process.out.count(b"\n") == 1)
    gateway.publish("AAPL", 99.5)
    wait_until(lambda: process.out.count(b"\n") == 2)
    wait_until(lambda: b"simulated" in process.errors)
    assert process.stop(signal.SIGINT) == 0
    lines = [line.split() for line in process.out.decode().splitlines()]
    assert [line[1:] for line in lines] == [["AAPL", "101.00", "+1.00", "+1.00%"], ["AAPL", "99.50", "-0.50", "-0.50%"]]
    assert lines[0][0].endswith("+00:00")
    assert first.seq_id
    assert process.errors.decode().splitlines() == [
        "stockwatch: live; XXXX: unknown symbol",
        "stockwatch: live, simulated; XXXX: unknown symbol",
    ]


def test_it_reconnects_to_a_gateway_that_restarts(run_gateway, watch):
    gateway = run_gateway("rungateway")
    process = watch("TSLA", f"--url=ws://{gateway.address}/ws")
    wait_until(lambda: b"live" in process.errors)
    gateway.signal()
    gateway.wait()
    wait_until(lambda: b"cannot be reached" in process.errors)
    gateway.start()
    wait_until(lambda: process.errors.count(b"live") == 2)
    gateway.publish("TSLA", 123.0)
    wait_until(lambda: b"123.00" in process.out)
    assert b"connection lost (4001), reconnecting in " in process.errors
    assert process.stop(signal.SIGTERM) == 0
    assert b"Traceback" not in process.errors


@pytest.mark.parametrize(
    ("symbols", "path", "message"),
    [
        (["XXXX", "YYYY"], "/ws", "{} does not know XXXX, YYYY"),
        (["AAPL"], "/elsewhere", "{} answered 404: it has no prices at this address"),
        (["AAPL"], "/ws?heartbeat=99", "{} answered 400: it has no prices there"),
        (["AAPL"], "/livez", "{} answered 404: it has no prices at this address"),
        (["x" * 70_000], "/ws", "{} closed with 4502: the message was too large; watch fewer symbols"),
    ],
)
def test_a_permanent_refusal_is_one_line_and_exit_status_1(gateway, watch, symbols, path, message):
    address = f"ws://{gateway.address}{path}"
    process = watch(*symbols, "--url", address)
    assert process.stop() == 1
    assert process.errors.decode().splitlines() == ["CommandError: " + message.format(address)]
    assert process.out == b""


def test_frames_that_the_command_does_not_know_are_ignored(watch):
    with serve_odd_frames() as address:
        process = watch("AAPL", "--url", address)
        wait_until(lambda: b"123.50" in process.out)
        assert process.stop(signal.SIGINT) == 0
    assert b"reconnecting" not in process.errors
    assert b"\x1b" not in process.out + process.errors


def test_an_invalid_address_is_explained(watch):
    process = watch("AAPL", "--url=localhost:8081")
    assert process.stop() == 1
    assert process.errors == b"CommandError: localhost:8081 is not a WebSocket address such as ws://localhost:8081/ws\n"


def test_a_closed_pipe_ends_the_command(gateway, watch, url):
    read, write = os.pipe()
    process = watch("AAPL", url, output=write)
    os.close(write)
    wait_until(lambda: b"live" in process.errors)
    os.close(read)
    gateway.publish("AAPL")
    assert process.stop() == 0
    assert b"Error" not in process.errors


def test_a_terminal_shows_a_table_and_is_restored(gateway, watch, url):
    gateway.publish("AAPL", 101.0)
    master, slave = pty.openpty()
    process = watch("AAPL", "XXXX", "GOOG", url, output=slave)
    os.close(slave)
    seen = bytearray()

    def read():
        while True:
            try:
                seen.extend(os.read(master, 65536))
            except OSError:
                return

    reader = threading.Thread(target=read)
    reader.start()
    for text in ("101.00", "+1.00", "unknown symbol", "no price yet", "Simulated", "stale", "live"):
        wait_until(lambda text=text: text.encode() in seen, what=text)
    assert process.stop(signal.SIGINT) == 0
    reader.join()
    os.close(master)
    assert seen.rindex(b"\x1b[?25h") > seen.rindex(b"\x1b[?25l")
    assert process.errors == b""


def test_a_table_marks_stale_inactive_and_rejected_symbols():
    state = WatchState(["AAPL", "GOOG", "TSLA", "XXXX"], stale_after=5.0)
    now = now_micros()
    for symbol, price, age in (("AAPL", 1234.5, 0), ("GOOG", 90.0, 600), ("TSLA", 100.0, 2)):
        ticker = {"symbol": symbol, "name": symbol.title(), "base": 100.0, "decimals": 2, "active": symbol != "TSLA"}
        state.apply_ticker(ticker)
        state.apply_update({"symbol": symbol, "price": price, "timestamp": now - age * 1_000_000, "seq_id": 1})
    state.apply_ack({"rejected": {"XXXX": "unknown symbol"}})
    aapl, goog, tsla, xxxx, status = draw(state)[1:]
    assert aapl.split()[:5] == ["AAPL", "Aapl", "1,234.50", "+1,134.50", "+1134.50"]
    assert goog.split()[2:] == ["90.00", "-10.00", "-10.00", "10", "min", "stale"]
    assert tsla.split()[-2:] == ["s", "inactive"]
    assert xxxx.split() == ["XXXX", "unknown", "symbol"]
    assert status.startswith("● live  ws://here/ws")


def test_a_table_names_halted_symbols_and_sources_that_are_not_connected():
    state = WatchState(["BTC/USD"], stale_after=5.0)
    state.apply_ticker({"symbol": "BTC/USD", "name": "Bitcoin", "base": 100.0, "decimals": 2, "source": "kraken"})
    state.apply_update({"symbol": "BTC/USD", "price": 100.0, "timestamp": now_micros() - 600_000_000, "seq_id": 1})
    state.apply_feed({"source": "kraken", "title": "Kraken", "state": "connected", "symbols": {"halted": ["BTC/USD"]}})
    state.apply_ack({})
    assert draw(state)[1].split()[-3:] == ["10", "min", "halted"]
    state.apply_feed({"source": "kraken", "title": "Kraken", "state": "silent", "reason": "no message", "symbols": {}})
    row, status = draw(state)[1:]
    assert row.split()[-3:] == ["10", "min", "stale"]
    assert status.rstrip().endswith("Kraken: silent (no message)")


def draw(state):
    console = Console(file=StringIO(), width=100)
    console.print(TableDisplay(state, "ws://here/ws").draw())
    return console.file.getvalue().splitlines()


def test_options_are_added_to_the_query_of_the_address():
    assert add_options("ws://a/ws?batch=1#x") == "ws://a/ws?batch=1&meta=1&notice=1&heartbeat=2"
    with pytest.raises(GatewayRefused):
        add_options("http://a/ws")
