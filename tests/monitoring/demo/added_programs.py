"""Runs more programs beside the stack, whose metrics Prometheus reads too."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from stockwatch.local.redis_server import RedisServer, free_port
from tests.monitoring.demo.stack import DemoStack
from tests.support.gateway.process import GatewayProcess
from tests.support.servers.commands import Command
from tests.support.servers.processes import is_open
from tests.support.waiting import wait_until

APPLIED_SECONDS = 6.0
"""Prometheus applies changed targets every five seconds."""


@contextmanager
def run_gateway(
    stack: DemoStack, command: str = "rungateway", max_files: int = 0, **variables: str
) -> Iterator[GatewayProcess]:
    """Runs one more gateway, with the settings of the stack and `variables`.

    `command` is a name that GatewayProcess knows. `max_files` is the limit of open files; 0 means no other limit than
    that of this process.
    """
    port = int(stack.environment["REDIS_ADDR"].rpartition(":")[2])
    shared = {name: value for name, value in stack.environment.items() if name not in {"APP_PORT", "TMPDIR"}}
    gateway = GatewayProcess(stack.folder, stack.database, RedisServer(port), command, **(shared | variables))
    if max_files:
        gateway.launcher = ["sh", "-c", f'ulimit -n {max_files} && exec "$@"', "sh"]
    gateway.start()
    try:
        with added_target(stack, "gateway", gateway.port):
            yield gateway
    finally:
        gateway.signal()
        gateway.wait()
        gateway.stop()


@contextmanager
def run_command(stack: DemoStack, job: str, name: str, port_variable: str, **variables: str) -> Iterator[None]:
    """Runs one more command of manage.py, with the settings of the stack and `variables`.

    `port_variable` is the setting of the port on which the command serves metrics.
    """
    port = free_port()
    environment = stack.environment | {port_variable: str(port)} | variables
    command = Command(name, environment, stack.folder / f"{name}-{port}.log")
    try:
        wait_until(lambda: is_open(f"127.0.0.1:{port}"), 120, f"start of {name}")
        with added_target(stack, job, port):
            yield
    finally:
        command.end()


@contextmanager
def added_target(stack: DemoStack, job: str, port: int) -> Iterator[None]:
    """Within the block, Prometheus reads the metrics on `port` as those of `stockwatch-JOB`."""
    file = stack.folder / f"added-{port}.json"
    file.write_text(json.dumps([{"targets": [f"127.0.0.1:{port}"], "labels": {"job": f"stockwatch-{job}"}}]))
    try:
        yield
    finally:
        file.unlink()
        time.sleep(APPLIED_SECONDS)  # so that the end of the program raises no alert
