"""Child processes that live and die together: their output with their names before it, their end, an orderly stop.

It knows nothing of what the processes do. Each child leads a session of its own, so that Ctrl-C in the terminal
reaches this process only, which then stops the others in its own order; `warden` does it where this process is killed.
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

from stockwatch.local import reaper as warden

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LAST_LINES = 12
AWAIT_WATCH = 'read -r _ && exec "$@" </dev/null'
"""A child becomes its command when the warden knows of it; where this process dies before, it never does."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A child is gone. `status` is its exit code, or minus the signal that killed it."""

    name: str
    status: int
    last_lines: tuple[str, ...]

    def __str__(self) -> str:
        how = f"exit code {self.status}" if self.status >= 0 else f"killed by {signal.Signals(-self.status).name}"
        text = f"{self.name} ended by itself ({how}), so everything was stopped"
        if self.last_lines:
            text += "; its last lines:\n" + "\n".join("  " + line for line in self.last_lines)
        return text


@dataclass(frozen=True, slots=True)
class Stop:
    """Somebody asked for the end: a signal, or the reader of the output by going away."""

    reason: str


@dataclass(slots=True)
class Child:
    """One process. `grace` is the seconds it gets between SIGTERM and SIGKILL; `log` has its output if no pipe has."""

    name: str
    process: subprocess.Popen[bytes]
    grace: float
    log: Path | None = None
    asked: float | None = None
    """When it was told to end, on the monotonic clock."""
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    threads: list[threading.Thread] = field(default_factory=list)
    expected: bool = False


class Supervisor:
    """Starts children, passes their output on, tells of their end, and ends them.

    Everything but the output goes through one queue, so that a signal, a death and a closed terminal are met in the
    order in which they came, and by the main thread alone.
    """

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._lock = threading.Lock()
        self._events: SimpleQueue[Ended | Stop] = SimpleQueue()
        self._children: list[Child] = []
        self.stopping = False
        self._asked_at = 0.0
        self._hurry = threading.Event()
        self._warden = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", str(Path(warden.__file__))],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def obey_signals(self) -> None:
        """The first signal asks for an orderly end, another a second later for one at once. Main thread only."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._note_signal)

    def _note_signal(self, number: int, _frame: FrameType | None) -> None:
        # `make` hands a SIGTERM on that its whole group has got already: that is one request, not two.
        if self.stopping and monotonic() > self._asked_at + 1:
            self._hurry.set()
        self._ask_stop(signal.Signals(number).name)

    def _ask_stop(self, reason: str) -> None:
        self._asked_at = self._asked_at if self.stopping else monotonic()
        self.stopping = True
        self._events.put(Stop(reason))

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str], grace: float) -> None:
        """Starts a process whose output is passed on line by line."""
        process = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", AWAIT_WATCH, name, *command],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._watch(Child(name, process, grace), self._pass_on, self._await_end)
        if process.stdin:
            with suppress(BrokenPipeError), process.stdin as gate:
                gate.write(b"watched\n")
        self.say(f"{name:<9} | runs as process {process.pid}")

    def adopt(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        """Watches for the early end of a process that somebody else started and will stop.

        The folder of its log is a temporary one that must not outlive this process.
        """
        self._order(f"folder {log.parent}")
        self._watch(Child(name, process, 0, log), self._await_end)

    def _watch(self, child: Child, *jobs: Callable[[Child], None]) -> None:
        self._order(f"watch {child.process.pid}")
        self._children.append(child)
        for job in jobs:
            thread = threading.Thread(target=job, args=(child,), daemon=True)
            child.threads.append(thread)
            thread.start()

    def _pass_on(self, child: Child) -> None:
        if child.process.stdout is None:
            return
        with child.process.stdout as lines:
            for raw in lines:
                line = raw.decode(errors="replace").rstrip()
                child.last_lines.append(line)
                self.say(f"{child.name:<9} | {line}")

    def _await_end(self, child: Child) -> None:
        status = child.process.wait()
        for thread in child.threads:
            if thread is not threading.current_thread():
                thread.join(1)  # its last words; a grandchild may hold the pipe open for longer
        if not child.expected:
            if child.log:
                child.last_lines.extend(child.log.read_text(errors="replace").splitlines())
            self._events.put(Ended(child.name, status, tuple(child.last_lines)))

    def say(self, line: str) -> None:
        """Writes one line without mixing it with another's."""
        with self._lock:
            try:
                self._output.write(line + "\n")
                self._output.flush()
            except OSError:  # nobody reads any more: that is an end, but a child must not block on its pipe for it
                self._ask_stop("the output was closed")

    def wait(self, seconds: float | None) -> Ended | Stop | None:
        """What happened next, or None when nothing did for that long."""
        try:
            return self._events.get(timeout=seconds)
        except Empty:
            return None

    def expect_end(self, name: str) -> None:
        """The end of this child is no news: its owner stops it now."""
        for child in self._children:
            child.expected = child.expected or child.name == name

    def stop(self, name: str) -> None:
        """Ends one child: asks it, waits for its grace, then kills it and whatever it left in its group."""
        for child in [child for child in self._children if child.name == name]:
            self._end(child)
            self._order(f"forget {child.process.pid}")
            self._children.remove(child)

    def ask(self, names: Sequence[str], seconds: float) -> None:
        """Asks these children to end, and waits for that at most so long. Their grace begins now; none is killed."""
        asked = [child for child in self._children if child.name in names]
        deadline = monotonic() + seconds
        for child in asked:
            self._ask(child)
        for child in asked:
            self._await(child, deadline)

    def _ask(self, child: Child) -> float:
        """When its grace began: now, or when it was asked before."""
        child.expected = True
        if child.asked is None:
            child.asked = monotonic()
            if child.process.poll() is None:
                child.process.terminate()
        return child.asked

    def _await(self, child: Child, deadline: float) -> None:
        while child.process.poll() is None and monotonic() < deadline and not self._hurry.is_set():
            try:
                child.process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue

    def _end(self, child: Child) -> None:
        self._await(child, self._ask(child) + child.grace)
        warden.send_signal(child.process.pid, signal.SIGKILL)
        child.process.wait()
        for thread in child.threads:
            thread.join(1)

    def _order(self, line: str) -> None:
        if self._warden.stdin:
            self._warden.stdin.write(os.fsencode(line + "\n"))
            self._warden.stdin.flush()

    def close(self) -> None:
        """Ends what is left and the warden. Safe to call twice."""
        for child in list(self._children):
            self.stop(child.name)
        if self._warden.stdin and not self._warden.stdin.closed:
            self._warden.stdin.close()
        self._warden.wait()
