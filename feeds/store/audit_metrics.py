"""Shows the newest audit of each source as Prometheus metrics. A scrape reads the audits from Redis.

An audit compares the recorded minutes of a day with the minutes that the source reports.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import nan

import redis

from feeds import metrics
from feeds.errors import StoreUnavailable
from feeds.store.audit_reports import AuditReport, SymbolAudit, read_reports

READ_SECONDS = 5.0
"""How long the audits that were read are used. So a scrape waits only once for a Redis that does not answer."""


def serve_audits(client: redis.Redis, sources: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
    """Adds the audits of these sources to the metrics of this process. A source without an audit has the value NaN.

    `client` should wait for Redis for a second at most, because Prometheus waits for some seconds only.
    """
    audits = NewestAudits(client, sources, clock)
    for source in sources:
        for gauge, value in (
            (metrics.AUDIT_LOST, lost),
            (metrics.AUDIT_REPEATED, repeated),
            (metrics.AUDIT_INEXACT, inexact),
        ):
            gauge.labels(source).set_function(partial(audits.add_up, source, value))


def lost(found: SymbolAudit) -> float:
    return nan if found.lost is None else found.lost


def repeated(found: SymbolAudit) -> float:
    return nan if found.repeated is None else found.repeated


def inexact(found: SymbolAudit) -> float:
    return found.different + found.missing + found.replaced


class NewestAudits:
    """The newest audits of some sources. Reads all of them at once, at most every READ_SECONDS. Thread-safe."""

    def __init__(self, client: redis.Redis, sources: Sequence[str], clock: Callable[[], float]) -> None:
        self._client = client
        self._sources = sources
        self._clock = clock
        self._lock = threading.Lock()
        self._reports: Mapping[str, AuditReport] = {}
        self._read_at: float | None = None

    def add_up(self, source: str, value: Callable[[SymbolAudit], float]) -> float:
        """Returns the sum of a value over the symbols of a source; NaN without an audit, or if Redis is unavailable."""
        with self._lock:
            if self._read_at is None or self._clock() >= self._read_at + READ_SECONDS:
                self._reports = self._read()
                self._read_at = self._clock()
            report = self._reports.get(source)
        return nan if report is None else sum(value(found) for found in report.symbols if not found.problem)

    def _read(self) -> Mapping[str, AuditReport]:
        try:
            return {report.source: report for report in read_reports(self._client, self._sources)}
        except StoreUnavailable:
            return {}
