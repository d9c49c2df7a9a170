"""Runs the parts of the system on one machine: Redis, Kafka and all services.

A service is a management command that runs as its own process. This module decides which parts run, and in which order
they start and stop. The module `supervisor` manages the processes.
"""

import errno
import shlex
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import redis

from feeds.kafka.embedded import EmbeddedCluster
from feeds.store.connection import PROBE, connect, is_cluster_address
from feeds.store.keys import is_cluster
from feeds.wire import STOCK_PREFIX
from stockwatch.local.redis_server import RedisServer
from stockwatch.local.supervisor import ChildExit, Supervisor
from stockwatch.probe import is_healthy


class Service(NamedTuple):
    """A management command. `grace` is the time between SIGTERM and SIGKILL in seconds."""

    command: str
    grace: float


SERVERS = ("redis", "kafka")
SERVICES = {
    # If Redis or Kafka does not answer, some services need more than four seconds to end.
    "generator": Service("runkafkagen", 5.0),
    "feeder": Service("runfeed", 5.0),
    "processor": Service("runprocessor", 5.0),
    "recorder": Service("runrecorder", 5.0),
    "alerts": Service("runalerts", 5.0),
    "delivery": Service("rundelivery", 5.0),
    "gateway": Service("rungateway", 4.0),
}
STOP_ORDER = (("generator", "feeder"), ("processor", "recorder", "alerts"), ("delivery", "gateway"))
"""The services in the order in which they stop. A price passes through the services in the same order."""
STOP_STEP_SECONDS = 2.0
"""How long services may take to end before the next services in STOP_ORDER get SIGTERM."""
PARTS = (*SERVERS, *SERVICES)
BROKER_COUNT = 3
# With a shorter time, the new processor may never join the group.
SESSION_TIMEOUT = "3s"
"""How long the embedded brokers wait for a killed processor before a new processor can take its place."""
# The embedded brokers delay a group's first join by 3 s. Therefore the first price comes 3 s after the start-up of the
# processor. On two cores, this head start makes the processor ready a second earlier, and delays no other service.
PROCESSOR_HEAD_START_SECONDS = 0.6
"""How long the processor runs before the other services start."""
READY_TIMEOUT_SECONDS = 30.0
OTHER_REDIS = dict.fromkeys(("REDIS_URL", "REDIS_CA_FILE", "REDIS_CERT_FILE", "REDIS_KEY_FILE", "REDIS_SENTINELS"), "")
"""Variables that fit only another Redis than the stack's own, with the values that services get instead."""
OTHER_KAFKA = {
    "KAFKA_SECURITY_PROTOCOL": "plaintext",
    "KAFKA_SASL_USERNAME": "",
    "KAFKA_CA_FILE": "",
    "KAFKA_CERT_FILE": "",
    "KAFKA_KEY_FILE": "",
    "KAFKA_KEY_PASSWORD": "",
}
"""Variables that fit only another Kafka than the stack's own, with the values that services get instead."""
OTHER_LOOPBACK = {"127.0.0.1": "::1", "0.0.0.0": "::1", "localhost": "::1", "::1": "127.0.0.1"}  # noqa: S104


class StackFailure(RuntimeError):
    """The stack did not start, or one of its parts exited unexpectedly. The message says what failed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The parts of the stack that shall run, and their settings.

    `environment` holds the environment variables of the services. The addresses of the stack's own Redis and Kafka
    replace the addresses in `environment`.
    """

    parts: frozenset[str]
    host: str
    port: int
    manage: Path
    environment: Mapping[str, str]
    redis: Mapping[str, object]
    """The value of the setting REDIS: the Redis to use if the stack does not start its own Redis."""
    host_header: str = "localhost"
    """A host name that ALLOWED_HOSTS contains, for health checks."""


def choose_parts(only: str, external: bool, has_feeds: bool = False) -> frozenset[str]:
    """Returns the names of the parts to run, such as `redis` and `gateway`.

    `only` lists the parts, such as `redis,gateway`. An empty text means all parts, without the feeder if `has_feeds` is
    false. If `external` is true, Redis and Kafka are left out. Raises StackFailure if `only` contains an unknown name,
    or if no part is left.
    """
    all_parts = [name for name in PARTS if has_feeds or name != "feeder"]  # without a source, the feeder has no work
    names = [name.strip().lower() for name in only.split(",") if name.strip()] or all_parts
    for name in names:
        if name not in PARTS:
            raise StackFailure(f"{name!r} is not a part of the stack: name some of {', '.join(PARTS)}")
    parts = frozenset(name for name in names if not (external and name in SERVERS))
    if not parts:
        raise StackFailure("--external leaves nothing to run: name a service, or omit --only to run all of them")
    return parts


def require_free_port(host: str, port: int) -> None:
    """Raises StackFailure if the page cannot listen on the port, for example because the port is in use.

    For a host such as `localhost`, the port must be free on `127.0.0.1` and on `::1`.
    """
    _bind(host, port)
    # Browsers try both addresses.
    if other := OTHER_LOOPBACK.get(host):
        try:
            _bind(other, port)
        except StackFailure as failure:
            if isinstance(failure.__cause__, OSError) and failure.__cause__.errno == errno.EADDRINUSE:
                raise  # any other reason means that the machine does not have the address


def _bind(host: str, port: int) -> None:
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # accepts a port in TIME_WAIT
            listener.bind((host, port))
    except OSError as error:
        reason = f"{f'[{host}]' if ':' in host else host}:{port} cannot be used ({error.strerror})"
        raise StackFailure(f"{reason}: stop the process that listens there, or set APP_PORT") from error


class Stack:
    """The parts of a plan, which start and stop together. The end of the `with` block stops the parts."""

    def __init__(self, plan: Plan, supervisor: Supervisor) -> None:
        self._plan = plan
        self._supervisor = supervisor
        self._redis: RedisServer | None = None
        self._kafka: EmbeddedCluster | None = None
        self.overrides: dict[str, str] = {}
        """Environment variables that point services at the stack's own servers."""

    def start_servers(self) -> None:
        """Starts the stack's own Redis and Kafka if the plan has these parts.

        Adds the addresses of the started servers to `overrides`. Raises RedisNotStarted or FeedError if a server does
        not start.
        """
        if "kafka" in self._plan.parts:
            self._kafka = EmbeddedCluster(brokers=BROKER_COUNT)
            self._kafka.start()
            self.overrides |= {"KAFKA_BROKERS": self._kafka.addresses, "KAFKA_SESSION_TIMEOUT": SESSION_TIMEOUT}
            self._override_other(OTHER_KAFKA)
        if "redis" in self._plan.parts:
            self._redis = RedisServer()
            self._redis.launch()
            self._supervisor.watch("redis", self._redis.process, self._redis.log)
            self._redis.wait_until_ready()
            self.overrides |= {"REDIS_ADDR": self._redis.address, "REDIS_PASSWORD": "", "REDIS_DB": "0"}
            self._override_other(OTHER_REDIS)
            if is_cluster_address(self._plan.redis):
                self.overrides["REDIS_CLUSTER"] = "false"

    def _override_other(self, variables: Mapping[str, str]) -> None:
        self.overrides |= {name: value for name, value in variables.items() if self._plan.environment.get(name)}

    @property
    def page_url(self) -> str:
        """The URL of the page; empty if the plan has no gateway."""
        if "gateway" not in self._plan.parts:
            return ""
        host = self._plan.host
        name = "localhost" if host in {"127.0.0.1", "0.0.0.0", "::1", "::"} else host  # noqa: S104
        return f"http://{name}:{self._plan.port}"

    def describe_servers(self) -> list[str]:
        """Returns lines of text that tell the user which servers the stack uses.

        If the stack runs its own servers, the last line is an `export` command for shells that use these servers.
        """
        if not self.overrides:
            return ["stockwatch: using the Redis and Kafka that .env and the environment name"]
        own = " and ".join(name.capitalize() for name in SERVERS if name in self._plan.parts)
        exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in self.overrides.items())
        return [
            f"stockwatch: {own} in memory on free ports; --external uses those that .env names. For other commands:",
            f"export {exports}",
        ]

    def start_services(self, prepare: Callable[[], str], clock: Callable[[], float] = monotonic) -> str:
        """Starts the services, the processor first. Returns the result of `prepare`.

        `prepare` makes the database ready. If no service needs the database, `prepare` is not called, and the result is
        an empty text. If the plan has a gateway, `wait_for_page` starts recorder, alert engine and sender later.
        """
        self._start("processor")
        started_at = clock()
        hint = (
            prepare() if self._plan.parts & {"generator", "feeder", "recorder", "alerts", "delivery", "gateway"} else ""
        )
        if {"kafka", "processor"} <= self._plan.parts:
            self._wait_for_event(max(0.0, started_at + PROCESSOR_HEAD_START_SECONDS - clock()))
        self._start("generator")
        self._start("feeder")
        self._start("gateway", "--host", self._plan.host, "--port", str(self._plan.port), "--processes", "1")
        if "gateway" not in self._plan.parts:
            self._start_readers()
        return hint

    def _start_readers(self) -> None:
        self._start("recorder")
        self._start("alerts")
        self._start("delivery")

    def _start(self, name: str, *options: str) -> None:
        if name in self._plan.parts and not self._supervisor.stopping:
            service = SERVICES[name]
            command = [sys.executable, str(self._plan.manage), service.command, *options]
            self._supervisor.start(name, command, {**self._plan.environment, **self.overrides}, service.grace)

    def wait_for_page(self, clock: Callable[[], float] = monotonic) -> str:
        """Waits until the page answers and Redis holds a price. Then starts recorder, alert engine and sender.

        Returns `is ready`, or `shows no price yet` after READY_TIMEOUT_SECONDS, or an empty text if a stop was
        requested. Raises StackFailure if a part exits.
        """
        deadline = clock() + READY_TIMEOUT_SECONDS
        state = "shows no price yet"
        while not self._supervisor.stopping and clock() < deadline:
            self._wait_for_event(0.05)
            if self._has_price() and self._is_page_ready():
                state = "is ready"
                break
        self._start_readers()
        return "" if self._supervisor.stopping else state

    def run(self) -> None:
        """Waits until a stop is requested. Raises StackFailure if a part exits."""
        while not self._supervisor.stopping:
            self._wait_for_event(None)

    def _wait_for_event(self, timeout: float | None) -> None:
        event = self._supervisor.next_event(timeout)
        if isinstance(event, ChildExit):
            raise StackFailure(str(event))

    def _has_price(self) -> bool:
        address = dict(self._plan.redis)
        if self._redis:
            address = {"host": self._redis.host, "port": self._redis.port}
        client = connect(address, PROBE)
        with suppress(redis.RedisError), client:
            pattern = ("{*}." if is_cluster(client) else "") + STOCK_PREFIX + "*"
            return next(client.scan_iter(match=pattern, count=1000), None) is not None
        return False

    def _is_page_ready(self) -> bool:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._plan.host, self._plan.host)  # noqa: S104
        url = f"http://{f'[{host}]' if ':' in host else host}:{self._plan.port}/readyz"
        return is_healthy(url, 2.0, self._plan.host_header)

    def stop(self) -> None:
        """Stops the services in STOP_ORDER, then the servers."""
        for names in STOP_ORDER:
            self._supervisor.terminate(names, STOP_STEP_SECONDS)
        for name in SERVICES:
            self._supervisor.stop(name)
        if self._kafka:
            self._kafka.close()
        if self._redis:
            self._supervisor.expect_exit("redis")
            self._redis.close()
        self._supervisor.close()

    def __enter__(self) -> "Stack":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
