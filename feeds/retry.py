"""Computes the waits between retries, and logs when a service fails and when the service recovers."""

import threading
import time
from collections.abc import Callable
from enum import Enum
from random import Random
from weakref import WeakSet

import structlog

from feeds.errors import TransientError

log = structlog.get_logger(__name__)

SERVICES = ("Kafka", "Redis", "database")
"""The services that the programs need. The name of an outage begins with its service."""


class Outages:
    """Knows which services are unavailable to a process. Thread-safe."""

    def __init__(self) -> None:
        self._known: WeakSet[Outage] = WeakSet()
        self._lock = threading.Lock()

    def add(self, outage: "Outage") -> None:
        with self._lock:
            self._known.add(outage)

    def find_services(self) -> list[str]:
        """Returns the unavailable services in lower case: `kafka`, `redis`, `database`."""
        with self._lock:
            ongoing = [outage.service for outage in self._known if outage.ongoing]
        return [service.lower() for service in SERVICES if any(name.startswith(service) for name in ongoing)]


outages = Outages()
"""All outages of this process."""

MAX_RETRY_SECONDS = 1.0
"""The longest wait of `retry`."""


class Outage:
    """Logs when a service fails and when the service recovers. Thread-safe.

    Further failures during the same outage are not logged.
    """

    def __init__(self, service: str, clock: Callable[[], float] = time.monotonic, outages: Outages = outages) -> None:
        self.service = service
        self._clock = clock
        self._since: float | None = None
        self._lock = threading.Lock()
        outages.add(self)

    @property
    def ongoing(self) -> bool:
        return self._since is not None

    def begin(self, reason: object) -> None:
        """Notes that the service is unavailable. Call this method after each failure of the service.

        Only the first `reason` of an outage is logged.
        """
        with self._lock:
            if self._since is not None:
                return
            self._since = self._clock()
        log.warning(f"{self.service} unavailable", reason=str(reason))

    def end(self) -> None:
        """Ends the outage, if there is one. Call this method after each success of the service."""
        if self._since is None:
            return
        with self._lock:
            since, self._since = self._since, None
        if since is not None:
            log.info(f"{self.service} available again", seconds=round(self._clock() - since, 1))


class Jitter(Enum):
    """The range from which a wait is chosen at random. Its upper end, the ceiling, doubles with each attempt."""

    FULL = "full"
    """From half the ceiling of the first attempt to the current ceiling."""

    EQUAL = "equal"
    """From half the current ceiling to the current ceiling."""


class Backoff:
    """Computes random waits in seconds.

    The upper limit of a wait doubles with each attempt, from `initial` up to `maximum`.
    """

    def __init__(self, rng: Random, initial: float = 0.1, maximum: float = 2.0, jitter: Jitter = Jitter.FULL) -> None:
        self._rng = rng
        self._initial = initial
        self._maximum = maximum
        self._jitter = jitter
        self._ceiling = initial

    def __call__(self) -> float:
        """Returns the seconds to wait before the next attempt."""
        ceiling = min(self._ceiling, self._maximum)
        self._ceiling = ceiling * 2
        return self._rng.uniform((self._initial if self._jitter is Jitter.FULL else ceiling) / 2, ceiling)

    def reset(self) -> None:
        """Makes `initial` the upper limit of the next wait. Call this method after a success."""
        self._ceiling = self._initial


def retry(call: Callable[[], object], outage: Outage, stop: threading.Event, rng: Random, effect: str = "") -> bool:
    """Repeats `call` until it raises no TransientError. Returns False if `stop` was set first.

    Waits at most MAX_RETRY_SECONDS between two calls. All other errors are raised. The log shows the text `effect`
    after the error, for example `; waiting for the lease`.
    """
    backoff = Backoff(rng, maximum=MAX_RETRY_SECONDS)
    while not stop.is_set():
        try:
            call()
        except TransientError as error:
            outage.begin(f"{error}{effect}")
            stop.wait(backoff())
        else:
            outage.end()
            return True
    return False


class CircuitBreaker:
    """Makes calls to a service. After a failure, skips calls for a time that grows with each failure.

    `on_failure` is called at each failure.
    """

    def __init__(self, service: str, rng: Random, clock: Callable[[], float], on_failure: Callable[[], object]) -> None:
        self._outage = Outage(service, clock)
        self._backoff = Backoff(rng)
        self._clock = clock
        self._on_failure = on_failure
        self._retry_at = 0.0

    def __call__(self, call: Callable[[], object]) -> bool:
        """Calls the function `call`. Returns False if the call failed or was skipped.

        A TransientError counts as a failure and is not raised. All other errors are raised.
        """
        if self._retry_at and self._clock() < self._retry_at:
            return False
        try:
            call()
        except TransientError as error:
            self._outage.begin(error)
            self._on_failure()
            self._retry_at = self._clock() + self._backoff()
            return False
        self._outage.end()
        self._backoff.reset()
        self._retry_at = 0.0
        return True
