"""`manage.py watch` as a person or a script meets it: a real process, a real gateway, a pipe or a terminal."""

import os
import pty
import signal
import subprocess
import sys
import threading
from io import StringIO

import pytest
from rich.console import Console

from tests.support.gateway.fixtures import run_gateway, ticker_database
from tests.support.gateway.process import ROOT
from tests.support.waiting import wait_until
from watchlist.terminal.client import Refused, add_wishes
from watchlist.terminal.display import LiveTable, now_micros
from watchlist.terminal.state import WatchState

__all__ = ["run_gateway", "ticker_database"]


class Watch:
    """The command in a process; what it writes is read as it comes."""

    def __init__(self, *arguments, output=subprocess.PIPE):
        command = [sys.executable, "manage.py", "watch", *arguments]
        variables = os.environ | {"STALE_AFTER": "1s", "COLUMNS": "100", "TERM": "xterm"}
        self.process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=output, stderr=subprocess.PIPE)
        self.out, self.said = b"", b""
        sources = {"out": self.process.stdout, "said": self.process.stderr}
        self.readers = [threading.Thread(target=self._read, args=pair) for pair in sources.items() if pair[1]]
        for reader in self.readers:
            reader.start()

    def _read(self, name, source):
        while more := source.read1():
            setattr(self, name, getattr(self, name) + more)

    def end(self, number=None):
        if number:
            self.process.send_signal(number)
        status = self.process.wait(15)
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
        each.end()


@pytest.fixture(scope="module")
def gateway(run_gateway):
    return run_gateway("rungateway")


@pytest.fixture
def url(gateway):
    return f"--url=ws://{gateway.address}/ws"


def test_a_pipe_gets_a_line_an_update_and_all_else_goes_beside_it(gateway, watch, url):
    first = gateway.publish("AAPL", 101.0)
    watching = watch("aapl", "XXXX", url)
    wait_until(lambda: watching.out.count(b"\n") == 1)
    gateway.publish("AAPL", 99.5)
    wait_until(lambda: watching.out.count(b"\n") == 2)
    wait_until(lambda: b"simulated" in watching.said)
    assert watching.end(signal.SIGINT) == 0
    lines = [line.split() for line in watching.out.decode().splitlines()]
    assert [line[1:] for line in lines] == [["AAPL", "101.00", "+1.00", "+1.00%"], ["AAPL", "99.50", "-0.50", "-0.50%"]]
    assert lines[0][0].endswith("+00:00")
    assert first.seq_id
    assert watching.said.decode().splitlines() == [
        "stockwatch: live; XXXX: unknown symbol",
        "stockwatch: live, simulated; XXXX: unknown symbol",
    ]


def test_it_comes_back_to_a_gateway_that_was_away(run_gateway, watch):
    gateway = run_gateway("rungateway")
    watching = watch("TSLA", f"--url=ws://{gateway.address}/ws")
    wait_until(lambda: b"live" in watching.said)
    gateway.signal()
    gateway.wait()
    wait_until(lambda: b"cannot be reached" in watching.said)
    gateway.start()
    wait_until(lambda: watching.said.count(b"live") == 2, 30)
    gateway.publish("TSLA", 123.0)
    wait_until(lambda: b"123.00" in watching.out)
    assert b"the connection was lost (4001), again in " in watching.said
    assert watching.end(signal.SIGTERM) == 0
    assert b"Traceback" not in watching.said


@pytest.mark.parametrize(
    ("symbols", "path", "words"),
    [
        (["XXXX", "YYYY"], "/ws", "{} knows none of XXXX, YYYY: see its list of tickers"),
        (["AAPL"], "/elsewhere", "{} answered 404: there are no prices at this address"),
        (["AAPL"], "/ws?heartbeat=99", "{} answered 400: it serves no prices there"),
        (["AAPL"], "/livez", "{} answered 404: there are no prices at this address"),
        (["x" * 70_000], "/ws", "{} closed with 4502: these are too many symbols at once"),
    ],
)
def test_a_refusal_for_good_is_one_line_and_a_status(gateway, watch, symbols, path, words):
    address = f"ws://{gateway.address}{path}"
    watching = watch(*symbols, "--url", address)
    assert watching.end() == 1
    assert watching.said.decode().splitlines() == ["CommandError: " + words.format(address)]
    assert watching.out == b""


def test_an_address_that_is_none_is_said(watch):
    watching = watch("AAPL", "--url=localhost:8081")
    assert watching.end() == 1
    assert watching.said == b"CommandError: localhost:8081 is no address such as ws://localhost:8081/ws\n"


def test_a_reader_that_has_gone_ends_it(gateway, watch, url):
    read, write = os.pipe()
    watching = watch("AAPL", url, output=write)
    os.close(write)
    wait_until(lambda: b"live" in watching.said)
    os.close(read)
    gateway.publish("AAPL")
    assert watching.end() == 0
    assert b"Error" not in watching.said


def test_a_terminal_shows_a_table_and_is_left_as_it_was(gateway, watch, url):
    gateway.publish("AAPL", 101.0)
    master, slave = pty.openpty()
    watching = watch("AAPL", "XXXX", "GOOG", url, output=slave)
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
    for words in ("101.00", "+1.00", "unknown symbol", "no price yet", "Simulated", "stale", "live"):
        wait_until(lambda words=words: words.encode() in seen, what=words)
    assert watching.end(signal.SIGINT) == 0
    reader.join()
    os.close(master)
    assert seen.rindex(b"\x1b[?25h") > seen.rindex(b"\x1b[?25l")
    assert watching.said == b""


def test_a_table_names_what_is_old_idle_or_unknown():
    panel = WatchState(["AAPL", "GOOG", "TSLA", "XXXX"], stale_after=5.0)
    now = now_micros()
    for symbol, price, age in (("AAPL", 1234.5, 0), ("GOOG", 90.0, 600), ("TSLA", 100.0, 2)):
        ticker = {"symbol": symbol, "name": symbol.title(), "base": 100.0, "decimals": 2, "active": symbol != "TSLA"}
        panel.take_ticker(ticker)
        panel.take_update({"symbol": symbol, "price": price, "timestamp": now - age * 1_000_000, "seq_id": 1})
    panel.take_ack({"rejected": {"XXXX": "unknown symbol"}})
    console = Console(file=StringIO(), width=100)
    console.print(LiveTable(panel, "ws://here/ws").draw())
    aapl, goog, tsla, xxxx, status = console.file.getvalue().splitlines()[1:]
    assert aapl.split()[:5] == ["AAPL", "Aapl", "1,234.50", "+1,134.50", "+1134.50"]
    assert goog.split()[2:] == ["90.00", "-10.00", "-10.00", "10", "min", "stale"]
    assert tsla.split()[-2:] == ["s", "inactive"]
    assert xxxx.split() == ["XXXX", "unknown", "symbol"]
    assert status.startswith("● live  ws://here/ws")


def test_the_wishes_join_what_the_address_has():
    assert add_wishes("ws://a/ws?batch=1#x") == "ws://a/ws?batch=1&meta=1&notice=1&heartbeat=2"
    with pytest.raises(Refused):
        add_wishes("http://a/ws")
