"""Starts child processes, forwards their output, reports their exits, and stops them.

Ctrl-C in the terminal reaches only the parent, which then stops the children in order. If the parent is killed, the
script `reaper` ends the children.
"""

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic
from types import FrameType
from typing import TextIO

from stockwatch.local import reaper

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MAX_LAST_LINES = 12
WAIT_FOR_REAPER = 'read -r _ && exec "$@" </dev/null'
"""A shell script that waits for a line on standard input, then runs a child's command.

The line means that the reaper watches the child. If the parent dies first, the command does not run.
"""


@dataclass(frozen=True, slots=True)
class ChildExit:
    """An unexpected exit of a child.

    `status` is the exit code. If a signal killed the child, `status` is minus the number of the signal.
    """

    name: str
    status: int
    last_lines: tuple[str, ...]

    def __str__(self) -> str:
        cause = f"exit code {self.status}" if self.status >= 0 else f"killed by {signal.Signals(-self.status).name}"
        text = f"{self.name} exited unexpectedly ({cause}); all processes were stopped"
        if self.last_lines:
            text += "; its last lines:\n" + "\n".join("  " + line for line in self.last_lines)
        return text


@dataclass(frozen=True, slots=True)
class StopRequest:
    """A request to stop all processes. `reason` names a signal, or says that the output was closed."""

    reason: str


@dataclass(slots=True)
class Child:
    """One process that the supervisor watches.

    `grace` is the time between SIGTERM and SIGKILL in seconds. `log` is the file with the output of the process, or
    None if the output is piped.
    """

    name: str
    process: subprocess.Popen[bytes]
    grace: float
    log: Path | None = None
    terminated_at: float | None = None
    """When SIGTERM was sent, on the monotonic clock. None before SIGTERM."""
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_LAST_LINES))
    threads: list[threading.Thread] = field(default_factory=list)
    exit_expected: bool = False


class Supervisor:
    """Starts, watches and stops child processes.

    `next_event` returns exits of children and requests to stop, in the order in which they happened.
    """

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._output_lock = threading.Lock()
        self._events: SimpleQueue[ChildExit | StopRequest] = SimpleQueue()
        self._children: list[Child] = []
        self.stopping = False
        self._stop_requested_at = 0.0
        self._kill_now = threading.Event()
        self._reaper = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", str(Path(reaper.__file__))],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def handle_signals(self) -> None:
        """Handles SIGINT, SIGTERM and SIGHUP. Only the main thread may call this method.

        The first signal requests an orderly stop. A second signal requests an immediate stop.
        """
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        # `make` forwards a SIGTERM that its whole process group has received already. Both count as one request.
        if self.stopping and monotonic() > self._stop_requested_at + 1:
            self._kill_now.set()
        self._request_stop(signal.Signals(number).name)

    def _request_stop(self, reason: str) -> None:
        self._stop_requested_at = self._stop_requested_at if self.stopping else monotonic()
        self.stopping = True
        self._events.put(StopRequest(reason))

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str], grace: float) -> None:
        """Starts a process and forwards its output line by line."""
        process = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", WAIT_FOR_REAPER, name, *command],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._add(Child(name, process, grace), self._forward_output, self._wait_for_exit)
        if process.stdin:
            with suppress(BrokenPipeError), process.stdin as start_signal:
                start_signal.write(b"watched\n")
        self.write_line(f"{name:<9} | started as process {process.pid}")

    def watch(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        """Watches a process that the caller has started and will stop. `log` must be in a temporary folder.

        If the supervisor's process is killed, the reaper removes this folder.
        """
        self._send_to_reaper(f"folder {log.parent}")
        self._add(Child(name, process, 0, log), self._wait_for_exit)

    def _add(self, child: Child, *targets: Callable[[Child], None]) -> None:
        self._send_to_reaper(f"watch {child.process.pid}")
        self._children.append(child)
        for target in targets:
            thread = threading.Thread(target=target, args=(child,), daemon=True)
            child.threads.append(thread)
            thread.start()

    def _forward_output(self, child: Child) -> None:
        if child.process.stdout is None:
            return
        with child.process.stdout as lines:
            for raw in lines:
                line = raw.decode(errors="replace").rstrip()
                child.last_lines.append(line)
                self.write_line(f"{child.name:<9} | {line}")

    def _wait_for_exit(self, child: Child) -> None:
        status = child.process.wait()
        for thread in child.threads:
            if thread is not threading.current_thread():
                thread.join(1)  # forwards the last lines; a grandchild can keep the pipe open for longer
        if not child.exit_expected:
            if child.log:
                child.last_lines.extend(child.log.read_text(errors="replace").splitlines())
            self._events.put(ChildExit(child.name, status, tuple(child.last_lines)))

    def write_line(self, line: str) -> None:
        """Writes a line to the output. Requests a stop if the output is closed."""
        with self._output_lock:
            try:
                self._output.write(line + "\n")
                self._output.flush()
            except OSError:  # not raised, so that the thread keeps reading: a child must not block on a full pipe
                self._request_stop("the output was closed")

    def next_event(self, timeout: float | None) -> ChildExit | StopRequest | None:
        """Waits for the next event, and returns the event.

        Returns None if no event comes within `timeout` seconds. If `timeout` is None, waits without a limit.
        """
        try:
            return self._events.get(timeout=timeout)
        except Empty:
            return None

    def expect_exit(self, name: str) -> None:
        """Keeps the supervisor from reporting the exit of a child. Call this method before you stop the child."""
        for child in self._children:
            child.exit_expected = child.exit_expected or child.name == name

    def stop(self, name: str) -> None:
        """Ends a child and its process group.

        Sends SIGTERM to the child, and waits until the child exits or its grace time has passed. Then sends SIGKILL to
        the group.
        """
        for child in [child for child in self._children if child.name == name]:
            self._end(child)
            self._send_to_reaper(f"forget {child.process.pid}")
            self._children.remove(child)

    def terminate(self, names: Sequence[str], timeout: float) -> None:
        """Sends SIGTERM to the named children, and waits at most `timeout` seconds until all have exited.

        Kills no child. A later `stop` counts the child's grace time from this SIGTERM.
        """
        children = [child for child in self._children if child.name in names]
        deadline = monotonic() + timeout
        for child in children:
            self._terminate(child)
        for child in children:
            self._wait(child, deadline)

    def _terminate(self, child: Child) -> float:
        """Sends SIGTERM to a child at the first call. Returns the time when SIGTERM was sent."""
        child.exit_expected = True
        if child.terminated_at is None:
            child.terminated_at = monotonic()
            if child.process.poll() is None:
                child.process.terminate()
        return child.terminated_at

    def _wait(self, child: Child, deadline: float) -> None:
        while child.process.poll() is None and monotonic() < deadline and not self._kill_now.is_set():
            try:
                child.process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue

    def _end(self, child: Child) -> None:
        self._wait(child, self._terminate(child) + child.grace)
        reaper.signal_group(child.process.pid, signal.SIGKILL)  # other processes of the group may still run
        child.process.wait()
        for thread in child.threads:
            thread.join(1)

    def _send_to_reaper(self, line: str) -> None:
        if self._reaper.stdin:
            self._reaper.stdin.write(os.fsencode(line + "\n"))
            self._reaper.stdin.flush()

    def close(self) -> None:
        """Ends the remaining children and the reaper. A second call does nothing."""
        for child in list(self._children):
            self.stop(child.name)
        if self._reaper.stdin and not self._reaper.stdin.closed:
            self._reaper.stdin.close()
        self._reaper.wait()
