import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.cookiejar import CookieJar
from pathlib import Path
from queue import Queue
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, ProxyHandler, Request, build_opener

import pytest
import redis

from stockwatch.dotenv import parse_variables
from stockwatch.local.redis_server import free_port
from tests.support.servers.processes import is_open
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 120.0


class RunningStack:
    """A `runstack` process whose output is read line by line. Its temporary files are in `folder`."""

    def __init__(self, folder: Path, *options: str, **variables: str) -> None:
        self.folder = folder / "temporary"
        self.folder.mkdir(exist_ok=True)
        self.port = free_port()
        self.lines: list[str] = []
        self._queue: Queue[str] = Queue()
        environment = os.environ | {
            "DATABASE_URL": f"sqlite:///{folder / 'stack.sqlite3'}",
            "APP_PORT": f":{self.port}",
            "TMPDIR": str(self.folder),
            **variables,
        }
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "runstack", *options],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with self.process.stdout as lines:
            for line in lines:
                self._queue.put(line.rstrip("\n"))
        self._queue.put("")

    def next_line(self) -> str:
        """Returns the next line; an empty one if no process, including the reaper, holds the output open."""
        line = self._queue.get(timeout=TIMEOUT)
        self.lines.append(line)
        return line

    def wait_for_line(self, pattern: str) -> re.Match[str]:
        while line := self.next_line():
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"{pattern!r} is missing in:\n" + "\n".join(self.lines))

    def wait_for_exit(self) -> int:
        while self.next_line():
            continue
        return self.process.wait(TIMEOUT)

    def wait_for_pid(self, name: str) -> int:
        return int(self.wait_for_line(rf"^{name} +\| started as process (\d+)$")[1])

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


Start = Callable[..., RunningStack]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[RunningStack] = []

    def run(*options: str, **variables: str) -> RunningStack:
        started.append(RunningStack(tmp_path, *options, **variables))
        return started[-1]

    yield run
    for running in started:
        if running.process.poll() is None:
            running.process.terminate()
        running.process.wait(TIMEOUT)


def has_ended(pid: int) -> bool:
    """Returns whether the process has ended; a zombie has."""
    command = ["ps", "-o", "stat=", "-p", str(pid)]
    state = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return not state.strip() or state.startswith("Z")


def read_export(running: RunningStack) -> dict[str, str]:
    """Returns the variables of the printed `export` line."""
    words = running.wait_for_line("^export (.*)$")[1].split()
    return dict(word.split("=", 1) for word in words)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_servers_alone_print_their_addresses_and_leave_no_file(start: Start, number: signal.Signals):
    running = start("--only", "redis,kafka")
    variables = read_export(running)
    addresses = [variables["REDIS_ADDR"], *variables["KAFKA_BROKERS"].split(",")]
    assert len(addresses) == 4
    assert all(is_open(address) for address in addresses)
    running.process.send_signal(number)
    assert running.wait_for_exit() == 0
    assert not any(is_open(address) for address in addresses)
    assert list(running.folder.iterdir()) == []


def test_a_killed_stack_leaves_neither_process_nor_file(start: Start):
    running = start("--only", "redis,kafka,processor")
    address = read_export(running)["REDIS_ADDR"]
    processor = running.wait_for_pid("processor")
    running.process.kill()
    running.wait_for_exit()
    assert not is_open(address)
    wait_until(lambda: has_ended(processor), 60, "the end of the processor")
    assert list(running.folder.iterdir()) == []


def test_a_port_in_use_is_reported_in_one_line_before_any_part_starts(start: Start):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        running = start(APP_PORT=f":{port}")
        assert running.wait_for_exit() == 1
    reason = "cannot be used (Address already in use): stop the process that listens there, or set APP_PORT"
    assert running.lines[:-1] == [f"stockwatch: 127.0.0.1:{port} {reason}"]


def test_an_unknown_part_is_reported_in_one_line(start: Start):
    running = start("--only", "redis,broker")
    assert running.wait_for_exit() == 1
    assert len(running.lines[:-1]) == 1
    assert "name some of redis, kafka" in running.text


def test_a_killed_part_stops_all_others_and_is_reported_last(start: Start):
    running = start("--only", "redis,kafka,processor,generator")
    address = read_export(running)["REDIS_ADDR"]
    os.kill(running.wait_for_pid("generator"), signal.SIGKILL)
    assert running.wait_for_exit() == 1
    reason = running.text.partition("stockwatch: generator exited unexpectedly (killed by SIGKILL)")
    assert reason[1]
    assert "processor |" not in reason[2]
    assert not is_open(address)


def test_a_killed_redis_stops_all_parts_and_its_last_lines_are_printed(start: Start):
    running = start("--only", "redis")
    host, _, port = read_export(running)["REDIS_ADDR"].partition(":")
    with redis.Redis(host=host, port=int(port), protocol=2) as client:
        os.kill(client.info("server")["process_id"], signal.SIGKILL)
    assert running.wait_for_exit() == 1
    assert "redis exited unexpectedly (killed by SIGKILL); all processes were stopped; its last lines:" in running.text
    assert "Ready to accept connections" in running.lines[-2]


def test_prices_reach_redis_and_a_stop_delivers_pending_updates(start: Start):
    running = start("--only", "redis,kafka,processor,generator")
    host, _, port = read_export(running)["REDIS_ADDR"].partition(":")
    with redis.Redis(host=host, port=int(port), protocol=2) as client, client.pubsub() as pubsub:
        pubsub.psubscribe("prices.*")
        assert pubsub.get_message(timeout=TIMEOUT)["type"] == "psubscribe"
        assert pubsub.get_message(timeout=TIMEOUT)["channel"].startswith(b"prices.")
    running.process.terminate()
    assert running.wait_for_exit() == 0
    assert re.search(r"generator stopped .*delivered=\d+ undelivered=0", running.text)


def test_bars_are_recorded_and_the_last_ones_are_written_at_the_end(start: Start, tmp_path: Path):
    running = start("--only", "redis,kafka,generator,recorder")
    host, _, port = read_export(running)["REDIS_ADDR"].partition(":")
    running.wait_for_pid("recorder")
    with redis.Redis(host=host, port=int(port), protocol=2) as client:
        wait_until(lambda: all(client.mget("day:AAPL", "day:BTC/USD")), TIMEOUT, "the first bars")
    running.process.terminate()
    assert running.wait_for_exit() == 0
    [delivered] = re.findall(r"generator stopped .*delivered=(\d+) undelivered=0", running.text)
    with closing(sqlite3.connect(tmp_path / "stack.sqlite3")) as database:
        [(counted,)] = database.execute("SELECT SUM(count) FROM feeds_daybar")
    assert 0 < counted <= int(delivered)


def test_the_tickers_are_those_of_the_environment(start: Start, tmp_path: Path):
    variables = parse_variables((ROOT / "tests/cases/env/make_run_tickers.env").read_bytes(), ".env")
    running = start("--only", "redis,kafka,generator", **(variables | {"APP_PORT": f":{free_port()}"}))
    running.wait_for_pid("generator")
    running.process.terminate()
    assert running.wait_for_exit() == 0
    with closing(sqlite3.connect(tmp_path / "stack.sqlite3")) as database:
        rows = database.execute("SELECT symbol, base_price FROM feeds_ticker ORDER BY id").fetchall()
    assert rows == [("AAPL", 11.0), ("XYZ", 22.0)]


def request_page(
    running: RunningStack, jar: CookieJar, path: str, data: dict[str, str] | None = None
) -> tuple[int, str]:
    """Requests a page as a browser does and follows redirects; returns status and text."""
    opener = build_opener(ProxyHandler({}), HTTPCookieProcessor(jar))
    address = f"http://localhost:{running.port}"
    body = urlencode(data).encode() if data else None
    request = Request(address + path, body, {"Referer": address + path})
    try:
        with opener.open(request, timeout=TIMEOUT) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_whole_stack_shows_prices_and_the_demo_user_can_sign_in(start: Start):
    running = start()
    found = running.wait_for_line(r"^stockwatch: (\S+) is ready; sign in as demo with the password (\S+)$")
    assert found[1] == f"http://localhost:{running.port}"
    jar = CookieJar()
    status, page = request_page(running, jar, "/")
    assert status == 200
    assert "AAPL" in page
    request_page(running, jar, "/admin/login/")
    token = next(cookie.value for cookie in jar if cookie.name == "csrftoken")
    form = {"username": "demo", "password": found[2], "csrfmiddlewaretoken": token}
    status, page = request_page(running, jar, "/admin/login/?next=/admin/feeds/ticker/", form)
    assert status == 200
    assert "BTC/USD" in page
    running.process.send_signal(signal.SIGINT)
    assert running.wait_for_exit() == 0
    assert not is_open(f"127.0.0.1:{running.port}")
    assert list(running.folder.iterdir()) == []
    assert "Traceback" not in running.text


def test_in_production_no_password_is_printed(start: Start):
    running = start(
        APP_ENV="production",
        SECRET_KEY="a key for this test that is long enough for the deployment checks: 0123456789",
        EMAIL_URL="dummymail://",
        GATEWAY_ALLOWED_ORIGINS="http://localhost",
    )
    running.wait_for_line(rf"^stockwatch: http://localhost:{running.port} is ready$")
    assert "password" not in running.text.replace("REDIS_PASSWORD", "")
    running.process.terminate()
    assert running.wait_for_exit() == 0


def test_own_servers_override_the_environment_and_external_uses_it(start: Start):
    running = start("--external", "--only", "processor", REDIS_ADDR="127.0.0.1:1", KAFKA_BROKERS="127.0.0.1:1")
    running.wait_for_line("using the Redis and Kafka that .env and the environment name")
    running.wait_for_line("processor .* Kafka unavailable")
    running.process.terminate()
    running.wait_for_exit()
    own = start("--only", "redis,kafka", REDIS_ADDR="127.0.0.1:1", KAFKA_BROKERS="127.0.0.1:1")
    assert "127.0.0.1:1" not in read_export(own).values()


def test_an_unreachable_database_is_reported_last(start: Start):
    running = start(DATABASE_URL="postgres://nobody:hunter2@127.0.0.1:1/none")
    assert running.wait_for_exit() == 1
    assert running.lines[-2].startswith("stockwatch: the database cannot be used (")
    assert "hunter2" not in running.text
    assert list(running.folder.iterdir()) == []


def test_a_stop_before_the_page_is_ready_leaves_no_file(start: Start):
    running = start()
    running.wait_for_pid("gateway")
    running.process.send_signal(signal.SIGINT)
    assert running.wait_for_exit() == 0
    assert "sign in as demo" not in running.text
    assert list(running.folder.iterdir()) == []
