"""Starts the programs of the trial on their machines, and reads their CPU time and memory."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Any

from stockwatch.local.redis_server import StartedInBlock, end_process
from tests.bench.serving import ROOT, cpu_seconds, resident_mb
from tests.support.network import on_machine
from tests.support.waiting import wait_until

BALANCER_CONFIGURATION = """
global
    maxconn {connections}
    nbthread 1
    stats socket {folder}/{name}.socket mode 600 level admin
defaults
    mode http
    option forwardfor
    # Drops the request of a client that has left. Otherwise the requests of clients that gave up are answered first.
    option abortonclose
    # A client whose machine refuses or has just stopped listening gets another machine.
    option redispatch 1
    retry-on conn-failure empty-response
    retries 3
    timeout connect 1s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
    timeout http-request 10s
    timeout check 1s
    # Finds a machine that is lost without a packet. `on-marked-down shutdown-sessions` would also close the sockets
    # of a machine that drains, because its health check fails too.
    option srvtcpka
    srvtcpka-idle 2s
    srvtcpka-intvl 1s
    srvtcpka-cnt 2
listen gateways
    bind {address}:{port}
    backlog 4096
    balance leastconn
    option httpchk GET /livez
    default-server check inter 500ms fastinter 200ms fall 2 rise 2 tcp-ut 4s
{servers}
"""


class Machine(StartedInBlock, ABC):
    """One program on one machine. A subclass says which command it runs, and with which variables.

    Standard input of the program is a pipe. `ends_with_input` says whether the program ends when the pipe is closed.
    """

    ends_with_input = False

    def __init__(self, machine: str, folder: Path, name: str = "") -> None:
        self.machine, self.name, self.folder = machine, name or machine, folder
        self.process: subprocess.Popen[str] | None = None
        self._ended_cpu = 0.0

    @abstractmethod
    def command(self) -> list[str]: ...

    def variables(self) -> dict[str, str]:
        return {}

    def start(self) -> None:
        log = (self.folder / f"{self.name}.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                on_machine(self.machine, self.command()),
                cwd=ROOT,
                env=os.environ | self.variables(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C reaches only the bench, which ends the programs in order
            )

    @property
    def running(self) -> "subprocess.Popen[str]":
        assert self.process is not None, f"{self.name} was not started"
        assert self.process.poll() is None, f"{self.name} ended:\n{self.log}"
        return self.process

    @property
    def log(self) -> str:
        return (self.folder / f"{self.name}.log").read_text()[-2000:]

    def ask(self, line: str) -> str:
        """Sends a line to the program. Returns the line that it answers."""
        process = self.running
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line + "\n")
        process.stdin.flush()
        return process.stdout.readline()

    def end(self, number: int = signal.SIGTERM, seconds: float = 90) -> float:
        """Sends a signal and waits for the end of the program. Returns how many seconds this took."""
        started, process = time.monotonic(), self.running
        process.send_signal(number)
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            assert time.monotonic() < started + seconds, f"{self.name} did not end"
            time.sleep(0.05)
        self._ended_cpu += cpu_seconds(process.pid)  # /proc keeps the times until the process is waited for
        process.wait()
        return time.monotonic() - started

    @property
    def cpu(self) -> float:
        """CPU seconds of the program, of its children and of its earlier processes."""
        if self.process is None or self.process.poll() is not None:
            return self._ended_cpu
        pids = [self.process.pid, *children_of(self.process.pid)]
        return self._ended_cpu + sum(map(cpu_seconds, pids))

    @property
    def resident(self) -> float:
        """Resident memory in megabytes."""
        return resident_mb(self.running.pid)

    def close(self) -> None:
        if self.process is None:
            return
        if self.process.stdin is not None:
            self.process.stdin.close()
        if self.ends_with_input:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(30)
        end_process(self.process)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Data(Machine):
    """The cluster and its publisher. `redis_variables` are the settings of the programs that use the cluster."""

    ends_with_input = True

    def __init__(self, folder: Path, address: str, symbols: int, groups: int) -> None:
        super().__init__("data", folder)
        self._arguments = [address, str(symbols), str(groups)]
        self.redis_variables: dict[str, str] = {}

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.bench.scale.data", *self._arguments]

    def start(self) -> None:
        super().start()
        stdout = self.running.stdout
        assert stdout is not None
        line = stdout.readline()
        assert line, f"the cluster did not start:\n{self.log}"
        self.redis_variables = json.loads(line)


class Gateway(Machine):
    """A gateway with one process and the default limits per address."""

    PORT = 8081

    def __init__(self, name: str, address: str, folder: Path, variables: dict[str, str]) -> None:
        super().__init__(name, folder)
        self.address = address
        self._variables = {
            "DATABASE_URL": f"sqlite:///{folder}/{name}.sqlite3",
            "APP_PORT": f"{address}:{self.PORT}",
            "GATEWAY_PROCESSES": "1",
            "GATEWAY_MAX_CONNECTIONS": "0",
            "LOGGER_LEVEL": "info",
            "TMPDIR": str(folder),
            **variables,
        }

    def command(self) -> list[str]:
        return [sys.executable, "manage.py", "rungateway"]

    def variables(self) -> dict[str, str]:
        return self._variables

    def migrate(self) -> None:
        """Creates the tables of the database. The gateway must not run."""
        command = [sys.executable, "manage.py", "migrate", "-v0"]
        subprocess.run(command, cwd=ROOT, env=os.environ | self._variables, check=True)


class Balancer(Machine):
    """One process of HAProxy. Several listen on the same port, because each socket needs two open files."""

    PORT = 8080

    def __init__(self, number: int, address: str, folder: Path, gateways: list[Gateway], connections: int) -> None:
        super().__init__("balancer", folder, f"balancer{number}")
        servers = "\n".join(f"    server {gateway.name} {gateway.address}:{gateway.PORT}" for gateway in gateways)
        values = {"folder": folder, "name": self.name, "address": address, "port": self.PORT}
        self._file = folder / f"{self.name}.cfg"
        text = BALANCER_CONFIGURATION.format(connections=connections, servers=servers, **values)
        self._file.write_text(text)

    def command(self) -> list[str]:
        return ["haproxy", "-db", "-f", str(self._file)]

    def states(self) -> dict[str, tuple[str, int]]:
        """Returns state and open connections of each gateway. An empty dict: the balancer does not answer."""
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(self.folder / f"{self.name}.socket"))
                client.sendall(b"show stat\n")
                text = b"".join(iter(lambda: client.recv(65536), b"")).decode()
        except OSError:
            return {}
        rows: list[dict[str, Any]] = list(csv.DictReader(text.lstrip("# ").splitlines()))
        return {row["svname"]: (row["status"], int(row["scur"])) for row in rows if row["check_status"]}

    def wait_until_up(self, gateway: str) -> None:
        wait_until(lambda: self.states().get(gateway, ("", 0))[0] == "UP", 90, f"{gateway} at {self.name}")


class Loader(Machine):
    """One process of `reconnecting`. Each client has an address of its own."""

    ends_with_input = True

    def __init__(self, number: int, folder: Path, arguments: list[str]) -> None:
        super().__init__("clients", folder, f"loader{number}")
        self._arguments = arguments

    def command(self) -> list[str]:
        return self._arguments

    def mark(self) -> None:
        self.ask("mark")

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ask("report"))
        return found

    def last_numbers(self) -> list[tuple[str, int]]:
        """Returns symbol and number of the last price that each client received of each of its symbols."""
        file = self.folder / f"{self.name}.txt"
        self.ask(f"dump {file}")
        return [(symbol, int(number)) for symbol, number in map(str.split, file.read_text().splitlines())]
