import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from stockwatch.local.supervisor import WAIT_FOR_REAPER, ChildExit, StopRequest, Supervisor

TIMEOUT = 120.0


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


def test_the_output_of_a_child_is_forwarded_with_its_name(supervisor: Supervisor, output: io.StringIO):
    start(supervisor, "import sys; print('one'); print('two', file=sys.stderr)", "generator")
    assert isinstance(supervisor.next_event(TIMEOUT), ChildExit)
    lines = [line for line in output.getvalue().splitlines() if "started as process" not in line]
    assert sorted(lines) == ["generator | one", "generator | two"]


def test_invalid_utf_8_does_not_end_the_forwarding(supervisor: Supervisor, output: io.StringIO):
    start(supervisor, "import sys; sys.stdout.buffer.write(b'\\xff\\nafter\\n')")
    supervisor.next_event(TIMEOUT)
    assert "child     | after" in output.getvalue().splitlines()


def test_an_unexpected_exit_is_reported_with_exit_code_and_last_lines(supervisor: Supervisor):
    start(supervisor, "print('\\n'.join(map(str, range(20)))); raise SystemExit(3)")
    ended = supervisor.next_event(TIMEOUT)
    assert ended == ChildExit("child", 3, tuple(str(number) for number in range(8, 20)))
    assert "child exited unexpectedly (exit code 3)" in str(ended)


def test_an_exit_by_a_signal_is_reported_with_its_name(supervisor: Supervisor):
    start(supervisor, "import os; os.kill(os.getpid(), 9)")
    ended = supervisor.next_event(TIMEOUT)
    assert str(ended) == "child exited unexpectedly (killed by SIGKILL); all processes were stopped"


def test_the_exit_of_a_stopped_child_is_not_reported(supervisor: Supervisor):
    start(supervisor, "import time; time.sleep(60)")
    supervisor.stop("child")
    assert supervisor.next_event(0) is None


def test_a_child_that_ignores_sigterm_is_killed_after_its_grace_time(supervisor: Supervisor, output: io.StringIO):
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready')\nwhile True: signal.pause()"
    start(supervisor, code, grace=0.2)
    wait_for_text(supervisor, output, "ready")
    supervisor.stop("child")
    assert supervisor.next_event(0) is None


def test_a_child_that_ignores_sigterm_does_not_delay_others_and_its_grace_time_runs(
    supervisor: Supervisor, output: io.StringIO
):
    ignore_sigterm = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready')\nwhile True: signal.pause()"
    )
    start(supervisor, ignore_sigterm, "stuck", grace=0.3)
    start(supervisor, "import signal; print('here'); signal.pause()", "good")
    wait_for_text(supervisor, output, "stuck     | ready")
    wait_for_text(supervisor, output, "good      | here")
    supervisor.terminate(["stuck"], 0.01)
    supervisor.terminate(["good"], TIMEOUT)
    stuck, good = supervisor._children
    assert (stuck.process.poll(), good.process.poll()) == (None, -signal.SIGTERM)

    terminated_at = stuck.terminated_at
    supervisor.stop("stuck")
    assert (stuck.terminated_at, stuck.process.poll()) == (terminated_at, -signal.SIGKILL)
    assert supervisor.next_event(0) is None


def test_stopping_a_child_kills_its_whole_process_group(supervisor: Supervisor):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT)
        grandchild = f"import socket; socket.create_connection({listener.getsockname()}).recv(1)"
        start(supervisor, f"import subprocess; subprocess.run([{sys.executable!r}, '-c', {grandchild!r}])")
        connection, _ = listener.accept()
    with connection:
        connection.settimeout(TIMEOUT)
        supervisor.stop("child")
        assert connection.recv(1) == b""


def test_a_child_that_the_reaper_does_not_watch_never_runs_its_command():
    command = ["/bin/sh", "-c", WAIT_FOR_REAPER, "child", "echo", "running"]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False)
    assert ended.returncode != 0
    assert ended.stdout == b""


def test_a_signal_requests_a_stop(supervisor: Supervisor):
    supervisor.handle_signals()
    os.kill(os.getpid(), signal.SIGTERM)
    assert supervisor.next_event(TIMEOUT) == StopRequest("SIGTERM")
    assert supervisor.stopping


def test_a_closed_output_requests_a_stop():
    class Closed(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    supervisor = Supervisor(Closed())
    start(supervisor, "print('hello')")
    assert supervisor.next_event(TIMEOUT) == StopRequest("the output was closed")
    supervisor.close()


def test_closing_ends_every_child_and_a_second_time_does_nothing(supervisor: Supervisor):
    start(supervisor, "import signal; signal.pause()", "one")
    start(supervisor, "import signal; signal.pause()", "two")
    supervisor.close()
    supervisor.close()
    assert supervisor.next_event(0) is None


def wait_for_text(supervisor: Supervisor, output: io.StringIO, text: str) -> None:
    """Polls the output, using the queue's timeout as the interval; fails if an event comes first."""
    for _ in range(600):
        if text in output.getvalue():
            return
        assert supervisor.next_event(0.05) is None
    raise AssertionError(f"{text!r} is missing in {output.getvalue()!r}")
