"""The whole system on one machine: Redis, Kafka, and the real commands as processes of their own.

It decides what runs, with what environment, in which order it starts and stops, and when it is ready. How processes
are kept is the supervisor's business; settings come in with the plan.
"""

import shlex
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import TracebackType

import redis

from feeds.kafka.embedded import EmbeddedCluster
from feeds.store.connection import PROBE, connect
from feeds.wire import STOCK_PREFIX
from stockwatch.local.redis_server import RedisServer
from stockwatch.local.supervisor import Ended, Supervisor
from stockwatch.probe import answers

SERVERS = ("redis", "kafka")
SERVICES = {
    # Name: command and the seconds that it gets to end by itself. With Redis or Kafka away some need more than four.
    "generator": ("runkafkagen", 5.0),
    "processor": ("runprocessor", 5.0),
    "recorder": ("runrecorder", 5.0),
    "gateway": ("rungateway", 4.0),
}
TURNS = (("generator",), ("processor", "recorder"), ("gateway",))
TURN = 2.0
"""Seconds after which the next are asked to end too, though those before them have not: so all is over after 8, and
people wait 10. They have ended within one, mostly."""
PARTS = (*SERVERS, *SERVICES)
BROKERS = 3
SESSION_TIMEOUT = "3s"
"""How long the embedded brokers wait for a killed processor before the next one may join; less and it never may."""
HEAD_START = 0.6
"""Seconds. The embedded brokers hold a group's first join for 3 s, so the first price comes 3 s after the processor is
up. On two cores that is a second sooner when the others do not start beside it, and they have time enough then."""
READY_WITHIN = 30.0


class StackFailure(RuntimeError):
    """The stack did not start, or a part of it ended by itself; the text says which, how and its last lines."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. `environment` is what the services get, less what the stack's own servers override."""

    parts: frozenset[str]
    host: str
    port: int
    manage: Path
    environment: Mapping[str, str]
    redis: Mapping[str, object]
    """Where Redis is when the stack has none of its own: host, port, password, db."""


def choose_parts(only: str, external: bool) -> frozenset[str]:
    """All parts, or those named between commas; none of the servers when they are external.

    Raises StackFailure for an unknown name.
    """
    names = [name.strip().lower() for name in only.split(",") if name.strip()] or list(PARTS)
    for name in names:
        if name not in PARTS:
            raise StackFailure(f"{name!r} is no part of the stack: name some of {', '.join(PARTS)}")
    parts = frozenset(name for name in names if not (external and name in SERVERS))
    if not parts:
        raise StackFailure("--external leaves nothing to run: name a service, or none for all of them")
    return parts


def require_port(host: str, port: int) -> None:
    """Raises StackFailure when the address cannot be listened on, before anything is started for it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that is only cooling down is free
        try:
            probe.bind((host, port))
        except OSError as error:
            words = f"{host}:{port} cannot be used ({error.strerror}): stop what listens there, or set APP_PORT"
            raise StackFailure(words) from error


class Stack:
    """Starts, waits and stops, as a context: leaving it stops all, in order, whatever has happened."""

    def __init__(self, plan: Plan, supervisor: Supervisor) -> None:
        self._plan = plan
        self._supervisor = supervisor
        self._redis: RedisServer | None = None
        self._kafka: EmbeddedCluster | None = None
        self.overrides: dict[str, str] = {}

    def start_servers(self) -> None:
        """Redis and Kafka; their addresses are in `overrides` afterwards. Raises NoServer and FeedError."""
        if "kafka" in self._plan.parts:
            self._kafka = EmbeddedCluster(brokers=BROKERS)
            self._kafka.start()
            self.overrides |= {"KAFKA_BROKERS": self._kafka.addresses, "KAFKA_SESSION_TIMEOUT": SESSION_TIMEOUT}
        if "redis" in self._plan.parts:
            self._redis = RedisServer()
            self._redis.launch()
            self._supervisor.adopt("redis", self._redis.process, self._redis.log)
            self._redis.await_answer()
            self.overrides |= {"REDIS_ADDR": self._redis.address, "REDIS_PASSWORD": "", "REDIS_DB": "0"}

    @property
    def address(self) -> str:
        """Of the page, empty when the gateway is not among the parts."""
        if "gateway" not in self._plan.parts:
            return ""
        host = self._plan.host
        name = "localhost" if host in {"127.0.0.1", "0.0.0.0", "::1", "::"} else host  # noqa: S104
        return f"http://{name}:{self._plan.port}"

    def describe_servers(self) -> list[str]:
        """What overrides `.env`, and a shell line that points other commands at the same servers."""
        if not self.overrides:
            return ["stockwatch: Redis and Kafka are those that .env and the environment name"]
        own = " and ".join(name.capitalize() for name in SERVERS if name in self._plan.parts)
        exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in self.overrides.items())
        return [
            f"stockwatch: {own} in memory on free ports, whatever .env says; --external obeys it. For other commands:",
            f"export {exports}",
        ]

    def start_services(self, prepare: Callable[[], str], clock: Callable[[], float] = monotonic) -> str:
        """The processor first, with a head start; `prepare` (migrations, tickers) runs meanwhile for the others.

        Returns what `prepare` has to say.
        """
        self._start("processor")
        begun = clock()
        words = prepare() if self._plan.parts & {"generator", "recorder", "gateway"} else ""
        if {"kafka", "processor"} <= self._plan.parts:
            self._await_event(max(0.0, begun + HEAD_START - clock()))
        self._start("generator")
        self._start("gateway", "--host", self._plan.host, "--port", str(self._plan.port), "--processes", "1")
        if "gateway" not in self._plan.parts:
            self._start("recorder")
        return words

    def _start(self, name: str, *options: str) -> None:
        if name in self._plan.parts and not self._supervisor.stopping:
            command, grace = SERVICES[name]
            environment = {**self._plan.environment, **self.overrides}
            self._supervisor.start(
                name, [sys.executable, str(self._plan.manage), command, *options], environment, grace
            )

    def await_page(self, clock: Callable[[], float] = monotonic) -> str:
        """How the page is: ready, with a price on it, or after 30 s without one; empty when a stop came first.

        Starts the recorder then: beside the others it would keep the first price waiting, and it misses nothing.
        Raises StackFailure when a part ends by itself.
        """
        deadline = clock() + READY_WITHIN
        state = "shows no price yet"
        while not self._supervisor.stopping and clock() < deadline:
            self._await_event(0.05)
            if self._has_price() and self._page_answers():
                state = "is ready"
                break
        self._start("recorder")
        return "" if self._supervisor.stopping else state

    def run(self) -> None:
        """Returns when a stop is asked for. Raises StackFailure when a part ends by itself."""
        while not self._supervisor.stopping:
            self._await_event(None)

    def _await_event(self, seconds: float | None) -> None:
        event = self._supervisor.wait(seconds)
        if isinstance(event, Ended):
            raise StackFailure(str(event))

    def _has_price(self) -> bool:
        place = dict(self._plan.redis)
        if self._redis:
            place = {"host": self._redis.host, "port": self._redis.port}
        client = connect(place, PROBE)
        with suppress(redis.RedisError), client:
            return next(client.scan_iter(match=STOCK_PREFIX + "*", count=1000), None) is not None
        return False

    def _page_answers(self) -> bool:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._plan.host, self._plan.host)  # noqa: S104
        return answers(f"http://{f'[{host}]' if ':' in host else host}:{self._plan.port}/readyz", 2.0)

    def stop(self) -> None:
        """Down the way of a price, so that what is under way still arrives; then the servers."""
        for names in TURNS:
            self._supervisor.ask(names, TURN)
        for name in SERVICES:
            self._supervisor.stop(name)
        if self._kafka:
            self._kafka.close()
        if self._redis:
            self._supervisor.expect_end("redis")
            self._redis.close()
        self._supervisor.close()

    def __enter__(self) -> "Stack":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
