import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.servers.postgres import PostgresNotInstalled, programs_folder
from tests.support.servers.processes import is_open
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
WAITING_TEST = """
import threading
from pathlib import Path

from tests.support.servers.postgres import Postgres, PostgresNotInstalled

SERVERS = []  # a server that is collected before it has ended is an error


def test_that_waits(redis_server, kafka, tmp_path):
    addresses = [redis_server.address, *kafka.split(",")]
    try:
        postgres = Postgres()
    except PostgresNotInstalled:
        pass
    else:
        SERVERS.append(postgres)
        postgres.create()
        addresses.append(f"127.0.0.1:{postgres.port}")
    Path(__file__).with_name("part.txt").write_text("\\\\n".join(addresses))
    Path(__file__).with_name("part.txt").rename(Path(__file__).with_name("addresses.txt"))
    threading.Event().wait()
""".replace("\\\\n", "\\n")


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for temporary files that PostgreSQL's user may enter, unlike `tmp_path`."""
    with tempfile.TemporaryDirectory(prefix="stopped-tests-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def start_tests(folder: Path, temporary: Path, *options: str) -> subprocess.Popen[str]:
    """Starts a test that waits forever, in its own process group."""
    (folder / "test_waiting.py").write_text(WAITING_TEST)
    options = ("-q", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), *options)
    options += ("-p", "no:cacheprovider", "--basetemp", str(folder / "base"))
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, str(folder / "test_waiting.py")],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def expect_neither_server_nor_file(
    running: subprocess.Popen[str], folder: Path, temporary: Path, stop: Callable[[], None]
) -> None:
    """Stops tests as soon as their servers run."""

    def started() -> bool:
        assert running.poll() is None, running.communicate()[0]
        return (folder / "addresses.txt").exists()

    wait_until(started, 120, "the start of the servers")
    addresses = (folder / "addresses.txt").read_text().split("\n")
    assert all(map(is_open, addresses))
    stop()
    output, _ = running.communicate(timeout=120)
    assert running.returncode == pytest.ExitCode.INTERRUPTED, output
    wait_until(lambda: not any(map(is_open, addresses)), 60, "the end of the servers")
    wait_until(lambda: not list(temporary.iterdir()), 60, "the removal of the files")


@pytest.mark.parametrize("numbers", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGTERM, signal.SIGTERM]])
def test_stopped_tests_leave_neither_server_nor_file(tmp_path: Path, temporary: Path, numbers: list[signal.Signals]):
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["tests.conftest"]')
    running = start_tests(tmp_path, temporary)

    def stop() -> None:
        for number in numbers:
            running.send_signal(number)

    expect_neither_server_nor_file(running, tmp_path, temporary, stop)


@pytest.mark.parametrize(
    ("number", "to_group"),
    [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGHUP, True)],
)
def test_stopped_tests_on_several_cores_leave_neither_server_nor_file(
    tmp_path: Path, temporary: Path, number: signal.Signals, to_group: bool
):
    # xdist may kill its workers at once: whoever stops tests has waited for the fixtures before.
    (tmp_path / "conftest.py").write_text(
        'pytest_plugins = ["tests.conftest"]\n'
        "from xdist.workermanage import NodeManager\n"
        "NodeManager.EXIT_TIMEOUT = 0\n"
    )
    running = start_tests(tmp_path, temporary, "-n", "2", "--dist", "loadfile")
    expect_neither_server_nor_file(
        running, tmp_path, temporary, lambda: (os.killpg if to_group else os.kill)(running.pid, number)
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_command_with_its_own_postgresql_leaves_neither_server_nor_file(
    temporary: Path, number: signal.Signals
):
    try:
        programs_folder()
    except PostgresNotInstalled as reason:
        pytest.skip(str(reason))
    code = "import os, threading; print(os.environ['DATABASE_URL'], flush=True); threading.Event().wait()"
    running = subprocess.Popen(
        [str(ROOT / ".ci" / "postgres"), sys.executable, "-c", code],
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        text=True,
    )
    address = running.stdout.readline().rpartition("@")[2].partition("/")[0]
    assert is_open(address)
    running.send_signal(number)
    running.communicate(timeout=120)
    assert running.returncode == 128 + number
    assert not is_open(address)
    assert list(temporary.iterdir()) == []
