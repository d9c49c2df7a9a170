"""Runs a gateway for a measurement, and reads its resource usage."""

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from prometheus_client.parser import text_string_to_metric_families

from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]


def cpu_seconds(pid: int) -> float:
    """Returns the CPU time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Returns the resident memory of a process in MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def sum_metric(port: int, name: str, labels: Mapping[str, str]) -> float:
    """Returns the sum of a metric's samples with these labels; 0 if the port does not listen."""
    try:
        with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
    except OSError:
        return 0.0
    samples = (sample for family in families for sample in family.samples)
    return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())


class Served:
    """A running gateway."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self.process = process

    def metric(self, name: str) -> float:
        """Returns the value of a metric; 0 if the metric is missing.

        `name` is the full name with labels, but without the prefix `stockwatch_`.
        """
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as answer:
            found = re.search(rf"^stockwatch_{re.escape(name)} (\S+)$", answer.read().decode(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    @property
    def resident(self) -> float:
        """The resident memory in megabytes."""
        return resident_mb(self.process.pid)

    @property
    def peak(self) -> float:
        """The peak of resident memory in megabytes."""
        (line,) = [
            line for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines() if "VmHWM" in line
        ]
        return int(line.split()[1]) / 1024

    @property
    def cpu(self) -> float:
        """The CPU time used so far in seconds."""
        return cpu_seconds(self.process.pid)

    @property
    def precise_cpu(self) -> float:
        """The CPU time used so far in seconds, in steps of nanoseconds. `cpu` has steps of hundredths of a second."""
        return time.clock_gettime(
            (~self.process.pid << 3) | 2
        )  # the CPU clock of a process, see clock_getcpuclockid(3)

    @property
    def is_alive(self) -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/livez", timeout=5).close()
        except OSError:
            return False
        return True


def pinned(core: int | None, command: list[str]) -> list[str]:
    """Returns a command that runs `command` on one CPU core. If `core` is None, returns `command`."""
    return command if core is None else ["taskset", "-c", str(core), *command]


@contextmanager
def serve(
    server: RedisServer,
    folder: Path,
    symbols: int,
    core: int | None = None,
    command: str = "rungateway",
    **variables: str,
) -> Iterator[Served]:
    """Runs a gateway with the symbols S0, S1, … and without limits on connections.

    If `core` is given, the gateway runs on this CPU core. `command` is `rungateway`, which has the front, or `daphne`.
    """
    port = free_port()
    environment = os.environ | {
        "REDIS_ADDR": server.address,
        "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3",
        "GATEWAY_VALID_TICKERS": ",".join(f"S{number}" for number in range(symbols)),
        "GATEWAY_MAX_CONNECTIONS": "0",
        "GATEWAY_MAX_PER_ADDRESS": "0",
        "GATEWAY_MAX_HTTP_PER_ADDRESS": "0",
        "GATEWAY_PROCESSES": "1",
        "LOGGER_LEVEL": "warning",
        "APP_PORT": f"127.0.0.1:{port}",
        **variables,
    }
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
    commands = {
        "daphne": ["-m", "daphne", "-v", "0", "-p", str(port), "stockwatch.asgi:application"],
        "rungateway": ["manage.py", "rungateway"],
    }
    process = subprocess.Popen(pinned(core, [sys.executable, *commands[command]]), cwd=ROOT, env=environment)
    served = Served(port, process)
    try:
        wait_until(lambda: served.is_alive, 30, "start of the gateway")
        yield served
    finally:
        process.terminate()
        process.wait()
