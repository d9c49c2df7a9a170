"""Runs the whole system for the demonstration, with a source of real prices that is a fake exchange."""

import os
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from stockwatch.local.redis_server import free_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
PORTS = {
    "generator": "GENERATOR_METRICS_PORT",
    "feeder": "FEED_METRICS_PORT",
    "processor": "PROCESSOR_METRICS_PORT",
    "recorder": "RECORDER_METRICS_PORT",
    "alerts": "ALERTS_METRICS_PORT",
    "delivery": "DELIVERY_METRICS_PORT",
}
CHILDREN = {
    "redis": ("redis-server", "valkey-server"),
    "processor": ("runprocessor",),
    "alerts": ("runalerts",),
    "delivery": ("rundelivery",),
}
"""Words in the command lines of the children of `runstack`."""
SYMBOL = "AAPL"
LIMITS = {
    "GATEWAY_MAX_CONNECTIONS": "150",
    "GATEWAY_MAX_PER_ADDRESS": "0",
    "GATEWAY_RATE_PER_SECOND": "10000",
    "GATEWAY_RATE_BURST": "10000",
    "GATEWAY_TIMEOUTS_WRITE_WAIT": "3s",
    "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
    "FEEDS": "kraken",
    "LOGGER_LEVEL": "warning",
}


class DemoStack:
    """`manage.py runstack` without generator and feeder, which are processes of their own, so that they may die."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.targets = {"gateway": self.port, **{name: free_port() for name in PORTS}}
        self.folder = folder
        self.database = folder / "demo.sqlite3"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        variables = {variable: str(self.targets[name]) for name, variable in PORTS.items()}
        addresses = {"DATABASE_URL": f"sqlite:///{self.database}", "APP_PORT": f"127.0.0.1:{self.port}"}
        self.environment = os.environ | LIMITS | variables | addresses

    def start(self) -> None:
        self._start("exchange", "-m", "tests.exchanges", "kraken", "--commands")
        self._read_exports("exchange", "KRAKEN_REST_URL")
        parts = "redis,kafka,processor,recorder,alerts,delivery,gateway"
        self._start("runstack", "manage.py", "runstack", "--only", parts)
        self._read_exports("runstack", "KAFKA_BROKERS")
        wait_until(
            lambda: b"no price" in self._output("runstack") or b"is ready" in self._output("runstack"), 300, "stack"
        )
        self.start_program("generator")
        self.start_program("feeder")

    def start_program(self, name: str) -> None:
        self._start(name, "manage.py", {"generator": "runkafkagen", "feeder": "runfeed"}[name])

    def kill(self, name: str) -> None:
        self._processes[name].kill()
        self._processes[name].wait()

    def freeze(self, name: str) -> None:
        os.kill(self._find(name), signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        os.kill(self._find(name), signal.SIGCONT)

    def command_exchange(self, line: str) -> None:
        """Begins or ends a fault of the exchange, by a line such as `begin mute`."""
        commands = self._processes["exchange"].stdin
        assert commands is not None
        commands.write(f"{line}\n".encode())
        commands.flush()

    def manage(self, *arguments: str, **variables: str) -> None:
        """Runs a management command to its end, with further environment variables."""
        command = [sys.executable, "manage.py", *arguments]
        environment = self.environment | variables
        result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, result.stdout + result.stderr

    def end(self) -> None:
        for process in reversed(self._processes.values()):
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
            process.kill()
            process.wait()

    def _start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    def _output(self, name: str) -> bytes:
        assert self._processes[name].poll() is None, f"{name} ended: {(self.folder / f'{name}.log').read_text()}"
        return (self.folder / f"{name}.log").read_bytes()

    def _read_exports(self, name: str, last: str) -> None:
        """Takes over the variables that a program prints in lines with `export`. `last` is the last of them."""
        wait_until(lambda: f"{last}=".encode() in self._output(name), 120, f"start of {name}")
        for line in self._output(name).decode().splitlines():
            if line.startswith("export "):
                self.environment |= dict(word.split("=", 1) for word in shlex.split(line)[1:])

    def _find(self, name: str) -> int:
        """Returns the id of a process that runs by itself, or as a child of `runstack`."""
        if name in self._processes:
            return self._processes[name].pid
        command = ["ps", "-o", "pid=,args=", "--ppid", str(self._processes["runstack"].pid)]
        children = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        return next(int(line.split()[0]) for line in children if any(word in line for word in CHILDREN[name]))
