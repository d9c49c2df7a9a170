"""Runs a gateway as several processes, and replaces each process that dies.

The parent opens the listening sockets and gives one to each child. On Linux, each child has its own socket, and the
kernel distributes connections over these sockets. On other systems, all children use one socket. A replacement gets the
socket of the dead child, with the waiting connections.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress

import structlog

from stockwatch.serving.ports import KERNEL_BALANCES, open_listener, stop_listening
from stockwatch.serving.relay_child import RelayChild
from stockwatch.serving.shared_counts import SharedCounts

log = structlog.get_logger(__name__)

MIN_LIFETIME_SECONDS = 1.0
"""A child that ends within this time is restarted after an equally long pause."""
CHECK_SECONDS = 0.2
KILL_AFTER_DRAIN_SECONDS = 5


class GatewayProcesses:
    """Several gateway processes on one port.

    `count` is the number of processes. `drain` is the number of seconds in which the processes may close their clients'
    sockets. If `relay` is true, the processes share one subscription to Redis. If not, each process has its own
    subscription.
    """

    def __init__(self, host: str, port: int, count: int, drain: float, relay: bool) -> None:
        self._host = host
        self._port = port
        self._count = count
        self._drain = drain
        self._use_relay = relay
        self._relay: RelayChild | None = None
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._stopping = threading.Event()
        self._signal_count = 0

    def run(self) -> int:
        """Serves until SIGTERM or SIGINT. Returns the exit status. Raises PortUnavailable if the port is in use.

        After the first signal, the children close their clients' sockets. A second signal ends the children
        immediately.
        """
        # Checked without SO_REUSEPORT, because with it another gateway of the same user would go unnoticed.
        open_listener(self._host, self._port).close()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        with tempfile.TemporaryDirectory(prefix="stockwatch-gateway-") as folder, ExitStack() as listeners:
            self._listeners = [listeners.enter_context(listener) for listener in self._open_listeners()]
            self._folder, self._memory = folder, SharedCounts.create_memory(self._count)
            log.info("gateway starting", host=self._host, port=self._port, processes=self._count)
            self._relay = RelayChild.open(folder) if self._use_relay else None
            for slot in range(self._count):
                self._start(slot)
            self._watch()
            os.close(self._memory)
            self._stop()
            if self._relay is not None:
                self._relay.stop()
            return 0

    def _open_listeners(self) -> list[socket.socket]:
        """Returns one bound socket for each child. The sockets do not listen yet.

        On systems other than Linux, the list repeats one socket.
        """
        count = self._count if KERNEL_BALANCES else 1
        listeners = [open_listener(self._host, self._port, shared=True, listen=False) for _ in range(count)]
        return listeners if KERNEL_BALANCES else listeners * self._count

    def _start(self, slot: int) -> None:
        command = [sys.executable, sys.argv[0], "rungateway", "--host", self._host, "--port", str(self._port)]
        command += ["--worker", f"{slot}/{self._count}", "--parent", str(os.getpid())]
        command += ["--shared", f"{self._memory}:{self._folder}"]
        listener = self._listeners[slot].fileno()
        command += ["--listener", str(listener)]
        if self._relay is not None:
            command += ["--relay", self._relay.path]
        inherited = [self._memory, listener]
        self._children[slot] = subprocess.Popen(command, pass_fds=inherited, start_new_session=True)  # noqa: S603

    def _watch(self) -> None:
        started_at = dict.fromkeys(self._children, time.monotonic())
        while not self._stopping.wait(CHECK_SECONDS):
            if self._relay is not None:
                self._relay.restart_if_dead()
            for slot, child in list(self._children.items()):
                if child.poll() is None or self._stopping.is_set():
                    continue
                lifetime = time.monotonic() - started_at[slot]
                log.error("gateway process died, restarting", slot=slot, status=child.returncode)
                if lifetime < MIN_LIFETIME_SECONDS:
                    if KERNEL_BALANCES:  # the other children serve until this one starts
                        stop_listening(self._listeners[slot])
                    self._stopping.wait(MIN_LIFETIME_SECONDS)
                if not self._stopping.is_set():
                    started_at[slot] = time.monotonic()
                    self._start(slot)

    def _stop(self) -> None:
        deadline = time.monotonic() + self._drain + KILL_AFTER_DRAIN_SECONDS
        for child in self._children.values():
            child.terminate()
        for child in self._children.values():
            while child.poll() is None and time.monotonic() < deadline and self._signal_count < 2:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(0.1)
            if child.poll() is None:
                child.kill()
                child.wait()

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._signal_count += 1
        self._stopping.set()
