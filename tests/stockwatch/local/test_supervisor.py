import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from stockwatch.local.supervisor import AWAIT_WATCH, Ended, Stop, Supervisor

SECONDS = 30.0


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(output: io.StringIO) -> Iterator[Supervisor]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    supervisor = Supervisor(output)
    yield supervisor
    supervisor.close()
    for number, handler in handlers.items():
        signal.signal(number, handler)


def start(supervisor: Supervisor, code: str, name: str = "child", grace: float = 5.0) -> None:
    supervisor.start(name, [sys.executable, "-u", "-c", code], os.environ, grace)


def test_a_child_s_lines_come_out_with_its_name(supervisor: Supervisor, output: io.StringIO):
    start(supervisor, "import sys; print('one'); print('two', file=sys.stderr)", "generator")
    assert isinstance(supervisor.wait(SECONDS), Ended)
    words = [line for line in output.getvalue().splitlines() if "runs as process" not in line]
    assert sorted(words) == ["generator | one", "generator | two"]


def test_bytes_that_are_no_text_do_not_end_the_passing_on(supervisor: Supervisor, output: io.StringIO):
    start(supervisor, "import sys; sys.stdout.buffer.write(b'\\xff\\nafter\\n')")
    supervisor.wait(SECONDS)
    assert "child     | after" in output.getvalue().splitlines()


def test_an_early_end_is_told_with_exit_code_and_last_lines(supervisor: Supervisor):
    start(supervisor, "print('\\n'.join(map(str, range(20)))); raise SystemExit(3)")
    ended = supervisor.wait(SECONDS)
    assert ended == Ended("child", 3, tuple(str(number) for number in range(8, 20)))
    assert "child ended by itself (exit code 3)" in str(ended)


def test_an_end_by_a_signal_is_told_by_its_name(supervisor: Supervisor):
    start(supervisor, "import os; os.kill(os.getpid(), 9)")
    ended = supervisor.wait(SECONDS)
    assert str(ended) == "child ended by itself (killed by SIGKILL), so everything was stopped"


def test_a_stopped_child_is_no_news(supervisor: Supervisor):
    start(supervisor, "import time; time.sleep(60)")
    supervisor.stop("child")
    assert supervisor.wait(0) is None


def test_a_child_that_ignores_the_request_is_killed_after_its_grace(supervisor: Supervisor, output: io.StringIO):
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready')\nwhile True: signal.pause()"
    start(supervisor, code, grace=0.2)
    await_text(supervisor, output, "ready")
    supervisor.stop("child")
    assert supervisor.wait(0) is None


def test_children_that_are_asked_and_do_not_end_hold_up_nobody_and_their_grace_runs(
    supervisor: Supervisor, output: io.StringIO
):
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready')\nwhile True: signal.pause()"
    start(supervisor, deaf, "deaf", grace=0.3)
    start(supervisor, "import signal; print('here'); signal.pause()", "good")
    await_text(supervisor, output, "deaf      | ready")
    await_text(supervisor, output, "good      | here")
    supervisor.ask(["deaf"], 0.01)
    supervisor.ask(["good"], SECONDS)
    deaf_child, good = supervisor._children
    assert (deaf_child.process.poll(), good.process.poll()) == (None, -signal.SIGTERM)

    asked = deaf_child.asked
    supervisor.stop("deaf")
    assert (deaf_child.asked, deaf_child.process.poll()) == (asked, -signal.SIGKILL)
    assert supervisor.wait(0) is None


def test_what_a_child_left_behind_in_its_group_goes_with_it(supervisor: Supervisor):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        grandchild = f"import socket; socket.create_connection({listener.getsockname()}).recv(1)"
        start(supervisor, f"import subprocess; subprocess.run([{sys.executable!r}, '-c', {grandchild!r}])")
        connection, _ = listener.accept()
    with connection:
        connection.settimeout(SECONDS)
        supervisor.stop("child")
        assert connection.recv(1) == b""


def test_a_child_that_the_warden_does_not_know_of_never_becomes_its_command():
    command = ["/bin/sh", "-c", AWAIT_WATCH, "child", "echo", "I am running"]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)
    assert ended.returncode != 0
    assert ended.stdout == b""


def test_a_signal_asks_for_the_end(supervisor: Supervisor):
    supervisor.obey_signals()
    os.kill(os.getpid(), signal.SIGTERM)
    assert supervisor.wait(SECONDS) == Stop("SIGTERM")
    assert supervisor.stopping


def test_an_output_that_nobody_reads_asks_for_the_end():
    class Closed(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    supervisor = Supervisor(Closed())
    start(supervisor, "print('hello')")
    assert supervisor.wait(SECONDS) == Stop("the output was closed")
    supervisor.close()


def test_closing_ends_every_child_and_twice_does_no_harm(supervisor: Supervisor):
    start(supervisor, "import signal; signal.pause()", "one")
    start(supervisor, "import signal; signal.pause()", "two")
    supervisor.close()
    supervisor.close()
    assert supervisor.wait(0) is None


def await_text(supervisor: Supervisor, output: io.StringIO, text: str) -> None:
    """Every line that is passed on wakes nobody; the queue's time-out is the tick here."""
    for _ in range(600):
        if text in output.getvalue():
            return
        assert supervisor.wait(0.05) is None
    raise AssertionError(f"{text!r} did not come: {output.getvalue()!r}")
