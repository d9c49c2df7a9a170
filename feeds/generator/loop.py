"""The generator's loop: a step each interval, its updates into the sink, and two threads that watch tickers and lease.

It reads no settings and no arguments, and knows neither Kafka nor the database: both come in as calls.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from random import Random
from typing import Protocol, TypeVar

import msgspec
import structlog

from feeds import metrics
from feeds.errors import BrokerUnavailable, LeaseHeld, StoreUnavailable, TransientError
from feeds.kafka.producer import UpdateProducer
from feeds.retry import Backoff, Outage
from feeds.sources.simulated import Instrument, PriceSimulator
from feeds.wire import Update, encode

log = structlog.get_logger(__name__)

TICKERS_EVERY = 0.5
LEASE_EVERY = 1.0
FLUSH = 7.0
"""Seconds that queued updates get at the end."""

FLUSH_AWAY = 3.0
"""The same where no broker answers any more."""

Answer = TypeVar("Answer")


class Lease(Protocol):
    """The right to feed the topic; feeds.store.quote_writer has the real one."""

    def acquire(self, wait: Callable[[float], object]) -> None: ...
    def renew(self) -> None: ...
    def release(self) -> None: ...


class Report(msgspec.Struct, frozen=True):
    """What became of the updates: acknowledged by the brokers, or not."""

    delivered: int
    missing: int


class GeneratorLoop:
    """Feeds one topic.

    `tickers` gives all instruments and raises TransientError; `look_back` readies the topic and gives the last updates
    of the symbols it is asked for. `interval` in seconds, `now` in nanoseconds.
    """

    def __init__(
        self,
        generator: PriceSimulator,
        sink: UpdateProducer,
        lease: Lease,
        tickers: Callable[[], list[Instrument]],
        look_back: Callable[[Collection[str]], Mapping[str, Update]],
        interval: float,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._generator = generator
        self._sink = sink
        self._lease = lease
        self._tickers = tickers
        self._look_back = look_back
        self._interval = interval
        self._clock = clock
        self._now = now
        self._instruments: list[Instrument] = []
        self._refusal: LeaseHeld | None = None
        self._redis = Outage("Redis")
        self._database = Outage("the database")
        self._unsent = 0
        self._counted = 0

    def run(self, stop: threading.Event) -> Report:
        """Feeds until `stop`, then flushes. Raises LeaseHeld and TopicRefused."""
        self._acquire(stop)
        try:
            if self._prepare(stop):
                self._watch(stop)
                self._beat(stop)
        finally:
            report = self._finish()
        if self._refusal is not None:
            raise self._refusal
        return report

    def _acquire(self, stop: threading.Event) -> None:
        try:
            self._lease.acquire(stop.wait)
        except StoreUnavailable as error:
            self._redis.begin(f"{error}; feeding without a lease until then")

    def _prepare(self, stop: threading.Event) -> bool:
        """Tickers, topic and history, in this order, as long as it takes. False when the stop came first."""
        self._sink.serve()  # it takes half a second to be given its producer id: meanwhile the rest is read
        instruments = self._insist(stop, self._database, self._tickers)
        if instruments is None:
            return False
        past = self._insist(stop, self._sink.outage, lambda: self._look_back([each.symbol for each in instruments]))
        if past is None:
            return False
        for update in past.values():
            self._generator.resume(update)
        self._instruments = instruments
        known = sum(each.symbol in past for each in instruments)
        log.info("generator ready", tickers=len(instruments), continued=known, interval_s=self._interval)
        return True

    def _insist(self, stop: threading.Event, outage: Outage, call: Callable[[], Answer]) -> Answer | None:
        backoff = Backoff(Random(), most=1.0)  # noqa: S311
        while not stop.is_set():
            try:
                answer = call()
            except TransientError as error:
                outage.begin(error)
                stop.wait(backoff())
            else:
                outage.end()
                return answer
        return None

    def _watch(self, stop: threading.Event) -> None:
        for name, every, task in (
            ("tickers", TICKERS_EVERY, self._read_tickers),
            ("lease", LEASE_EVERY, self._renew_lease),
        ):
            threading.Thread(target=self._repeat, args=(stop, every, task), name=name, daemon=True).start()

    def _repeat(self, stop: threading.Event, every: float, task: Callable[[], None]) -> None:
        while not stop.wait(every):
            try:
                task()
            except LeaseHeld as error:
                self._refusal = error
                stop.set()
            except Exception:
                log.exception("a watch of the generator failed, it goes on")

    def _read_tickers(self) -> None:
        try:
            instruments = self._tickers()
        except TransientError as error:
            self._database.begin(f"{error}; the last tickers go on")
            return
        self._database.end()
        if instruments != self._instruments:
            self._instruments = instruments

    def _renew_lease(self) -> None:
        try:
            self._lease.renew()
        except StoreUnavailable as error:
            self._redis.begin(f"{error}; feeding without a lease until then")
        else:
            self._redis.end()

    def _beat(self, stop: threading.Event) -> None:
        """One step an interval on the monotonic clock; a clock set by hand moves timestamps, never the pace."""
        followed: list[Instrument] | None = None
        due = told = self._clock()
        missed = 0
        while not stop.is_set():
            if self._instruments is not followed:
                followed = self._instruments
                self._generator.follow(followed)
                metrics.ACTIVE.set(self._generator.active)
                if not self._generator.active:
                    log.warning("no ticker is active: nothing is fed until one is, see the admin")
            self._send(self._generator.step(self._now() // 1000), stop)
            due += self._interval
            if (late := self._clock() - due) > self._interval:
                behind = int(late // self._interval)
                missed += behind
                metrics.MISSED.inc(behind)
                due += behind * self._interval
            self._rest(due, stop)
            if self._clock() - told >= 1.0:
                told = self._clock()
                self._sink.tell()
                if missed:
                    log.warning("intervals passed without updates: too many tickers, or Kafka too slow", missed=missed)
                    missed = 0

    def _send(self, updates: list[Update], stop: threading.Event) -> None:
        for sent, update in enumerate(updates):
            value = encode(update)
            while True:
                try:
                    self._sink.send(update.symbol, value)
                    break
                except BrokerUnavailable:
                    # The sink has said so. The same update is tried again: a full queue slows the feed, no more.
                    if stop.is_set():
                        self._unsent += len(updates) - sent
                        metrics.FAILED.labels("unsent").inc(len(updates) - sent)
                        return
        metrics.PRODUCED.inc(len(updates))

    def _rest(self, due: float, stop: threading.Event) -> None:
        while True:
            self._sink.serve()
            self._count()
            if (left := due - self._clock()) <= 0 or stop.wait(min(left, 0.5)):
                return

    def _count(self) -> None:
        metrics.DELIVERED.inc(self._sink.delivered - self._counted)
        self._counted = self._sink.delivered

    def _finish(self) -> Report:
        patience = FLUSH_AWAY if self._sink.outage.lasting else FLUSH
        report = Report(missing=self._sink.close(patience) + self._unsent, delivered=self._sink.delivered)
        self._count()
        try:
            self._lease.release()
        except StoreUnavailable as error:
            log.info("the lease could not be released, it runs out by itself", reason=str(error))
        log.info(
            f"delivered {report.delivered}, not delivered {report.missing}",
            delivered=report.delivered,
            missing=report.missing,
        )
        return report
