"""The parent of a gateway with several processes: it holds the port, starts the children, and replaces one that dies.

It serves nothing itself. Children each listen on a socket of their own with SO_REUSEPORT, among which the kernel
spreads connections; where it does not (macOS), they share one listening socket of the parent.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress

import structlog

from stockwatch.serving.ports import BALANCES, open_listener
from stockwatch.serving.shared_counts import SharedCounts

log = structlog.get_logger(__name__)

SHORTEST_LIFE = 1.0
"""Seconds; a child that lived less is started again only after as long, or a broken one would be started for ever."""


class GatewayProcesses:
    """`count` gateways on one port. `drain` is how many seconds children get to end."""

    def __init__(self, host: str, port: int, count: int, drain: float) -> None:
        self._host = host
        self._port = port
        self._count = count
        self._drain = drain
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._stopping = threading.Event()
        self._signals = 0

    def run(self) -> int:
        """Serves until SIGTERM or SIGINT; a second signal ends the children at once. Returns the exit status.

        Raises PortTaken.
        """
        # Without SO_REUSEPORT first: with it, somebody else's gateway of this user would look like one of ours.
        open_listener(self._host, self._port).close()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        # Bound and not listening: the port stays ours while no child listens.
        holder = open_listener(self._host, self._port, shared=True, listen=not BALANCES)
        with tempfile.TemporaryDirectory(prefix="stockwatch-gateway-") as folder, holder:
            self._listener = holder
            self._folder, self._memory = folder, SharedCounts.make_memory(self._count)
            log.info("gateway starts", host=self._host, port=self._port, processes=self._count)
            for slot in range(self._count):
                self._start(slot)
            self._watch()
            os.close(self._memory)
            return self._finish()

    def _start(self, slot: int) -> None:
        command = [sys.executable, sys.argv[0], "rungateway", "--host", self._host, "--port", str(self._port)]
        command += [
            "--worker",
            f"{slot}/{self._count}",
            "--parent",
            str(os.getpid()),
            "--board",
            f"{self._memory}:{self._folder}",
        ]
        shared = [] if BALANCES else [self._listener.fileno()]
        if shared:
            command += ["--listener", str(shared[0])]
        self._children[slot] = subprocess.Popen(  # noqa: S603
            command, pass_fds=[self._memory, *shared], start_new_session=True
        )

    def _watch(self) -> None:
        born = dict.fromkeys(self._children, time.monotonic())
        while not self._stopping.wait(0.2):
            for slot, child in list(self._children.items()):
                if child.poll() is None or self._stopping.is_set():
                    continue
                lived = time.monotonic() - born[slot]
                log.error("a gateway process died, starting another", slot=slot, status=child.returncode)
                if lived < SHORTEST_LIFE:
                    self._stopping.wait(SHORTEST_LIFE)
                if not self._stopping.is_set():
                    born[slot] = time.monotonic()
                    self._start(slot)

    def _finish(self) -> int:
        deadline = time.monotonic() + self._drain + 5
        for child in self._children.values():
            child.terminate()
        for child in self._children.values():
            while child.poll() is None and time.monotonic() < deadline and self._signals < 2:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(0.1)
            if child.poll() is None:
                child.kill()
                child.wait()
        return 0

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._signals += 1
        self._stopping.set()
