"""Runs the sender, which delivers firings by e-mail, webhook and Apprise.

A turn is the firings that one receiver gets at one time. Each turn is sent in a thread of its own, so that a slow
receiver delays no other delivery. The main thread does all work with the database. A lane is the lock for one receiver
in the database: only the sender that leases the lane may send to the receiver.
"""

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import uuid4

import structlog

from feeds import metrics
from feeds.program_health import heartbeat
from feeds.retry import CircuitBreaker
from watchlist.alert_kinds import Channel
from watchlist.alerts.delivery.outbox import (
    CHANNELS,
    DueLane,
    count_backlog,
    delete_old_lanes,
    find_due,
    lease_lane,
    read_turn,
    release_lane,
    renew_leases,
)
from watchlist.alerts.delivery.outcomes import Outcome, Result
from watchlist.alerts.delivery.settling import settle
from watchlist.alerts.delivery.turns import Report, Turn

log = structlog.get_logger(__name__)

Deliver = Callable[[Turn, Callable[[Report], None]], None]
"""Sends what a turn contains, and reports each attempt."""

POLL_SECONDS = 0.5
"""How often the sender looks for due deliveries."""

CLOSE_SECONDS = 4.0
"""How long a stopping sender waits for turns that run."""

HOUSEKEEPING_SECONDS = 5.0
LANE_LIFETIME = timedelta(hours=1)
MAX_TURNS: Mapping[Channel, int] = {Channel.EMAIL: 4, Channel.WEBHOOK: 24, Channel.APPRISE: 4}
"""How many turns of a channel run at once."""

GATHER = timedelta(seconds=2)
REST: Mapping[Channel, timedelta] = {Channel.EMAIL: timedelta(minutes=1), Channel.APPRISE: timedelta(seconds=10)}
"""How long a receiver gets nothing by a channel after each turn. Webhooks have no such pause."""


class Sender:
    """Sends firings to receivers. Several senders may run at the same time.

    `now` returns the current time, `clock` returns seconds since any fixed moment.
    """

    def __init__(
        self,
        deliver: Deliver,
        lease: timedelta,
        rng: Random | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deliver = deliver
        self._lease = lease
        self._rng = rng or Random()  # noqa: S311
        self._now = now
        self._clock = clock
        self._name = uuid4().hex
        self._breaker = CircuitBreaker("database", self._rng, clock, metrics.DELIVERY_RETRIES.inc)
        self._events: queue.SimpleQueue[Report | Turn] = queue.SimpleQueue()
        """Reports of attempts, and turns that have ended."""
        self._unwritten: list[Report | Turn] = []
        self._active: dict[str, Turn] = {}
        """The turns that run, by the names of their lanes."""
        self._renew_at = self._count_at = self._clean_at = 0.0
        self._oldest: datetime | None = None
        for channel in CHANNELS:
            metrics.DELIVERY_FAILED.labels(channel.value)  # Prometheus does not count the first value as an increase
        metrics.DELIVERY_OLDEST.set_function(self._find_oldest_age)

    def run(self, stop: threading.Event) -> None:
        """Delivers until `stop` is set. Then waits at most CLOSE_SECONDS for the turns that run."""
        while not stop.is_set():
            self.run_once()
        deadline = self._clock() + CLOSE_SECONDS
        while (self._active or self._unwritten) and self._clock() < deadline:
            self._collect(0.05)
            self._breaker(self._write)
        if self._active:
            log.warning("stopped during deliveries, they are repeated when their leases end", lanes=len(self._active))

    def run_once(self) -> None:
        """Waits for a report or POLL_SECONDS. Then writes what was reported, and starts turns that are due."""
        heartbeat.beat()
        self._collect(POLL_SECONDS)
        self._breaker(self._work)

    def _collect(self, seconds: float) -> None:
        try:
            self._unwritten.append(self._events.get(timeout=seconds))
            while True:
                self._unwritten.append(self._events.get_nowait())
        except queue.Empty:
            return

    def _work(self) -> None:
        """Raises OutboxUnavailable."""
        self._count()  # first: it only reads, and the database may answer reads but refuse writes
        self._write()
        self._renew()
        for due in find_due(self._now(), GATHER):
            self._start(due)
        self._clean()

    def _write(self) -> None:
        while self._unwritten:
            event = self._unwritten[0]
            if isinstance(event, Report):
                self._settle(event)
            else:
                self._release(event)
            del self._unwritten[0]

    def _settle(self, report: Report) -> None:
        retried, failed = settle(report, self._now(), self._rng)
        receiver = report.turn.receiver
        channel = receiver.channel.value
        if report.outcome.result is Result.SENT:
            metrics.DELIVERY_SENT.labels(channel).inc(len(report.firings))
        metrics.DELIVERY_RETRIED.labels(channel).inc(retried)
        if failed and receiver.address:  # without an address, the person wants nothing by this channel
            metrics.DELIVERY_FAILED.labels(channel).inc(failed)
            # The error is not logged: it may contain text of the receiver or of the person.
            log.warning("deliveries given up", channel=channel, account=receiver.owner_pk, deliveries=failed)

    def _release(self, turn: Turn) -> None:
        now = self._now()
        has_sent = turn.receiver.address and (turn.firings or turn.test)
        rest = REST.get(turn.receiver.channel, timedelta()) if has_sent else timedelta()
        release_lane(turn.lane, self._name, now, now + rest)
        self._active.pop(turn.lane, None)

    def _renew(self) -> None:
        if self._active and self._clock() >= self._renew_at:
            self._renew_at = self._clock() + self._lease.total_seconds() / 4
            renew_leases(list(self._active), self._name, self._now() + self._lease)

    def _start(self, due: DueLane) -> None:
        running = Counter(turn.receiver.channel for turn in self._active.values())
        if due.name in self._active or running[due.channel] >= MAX_TURNS[due.channel]:
            return
        now = self._now()
        if not lease_lane(due.name, self._name, now, now + self._lease):
            return
        # Read after the lease: another sender may have delivered meanwhile.
        turn = read_turn(due, now)
        self._active[due.name] = turn
        threading.Thread(target=self._run_turn, args=(turn,), name=due.name, daemon=True).start()

    def _run_turn(self, turn: Turn) -> None:
        try:
            self._deliver(turn, self._events.put)
        except Exception:
            log.exception("a turn failed", lane=turn.lane)
            outcome = Outcome(Result.RETRY, "internal error of the sender")
            self._events.put(Report(turn, turn.firings, bool(turn.test), outcome))
        finally:
            self._events.put(turn)

    def _count(self) -> None:
        """Counts the deliveries that wait."""
        if self._clock() < self._count_at:
            return
        self._count_at = self._clock() + HOUSEKEEPING_SECONDS
        backlog = count_backlog()
        metrics.DELIVERY_WAITING.set(backlog.waiting)
        self._oldest = backlog.oldest

    def _find_oldest_age(self) -> float:
        """Returns the age of the oldest firing whose delivery waits; 0 if none waits.

        The age of the last known firing grows while the database does not answer, or this sender hangs.
        """
        oldest = self._oldest
        return max((self._now() - oldest).total_seconds(), 0.0) if oldest else 0.0

    def _clean(self) -> None:
        if self._clock() < self._clean_at:
            return
        self._clean_at = self._clock() + HOUSEKEEPING_SECONDS
        delete_old_lanes(self._now() - LANE_LIFETIME)
