"""Shows the newest audit of each source as Prometheus metrics.

An audit compares the recorded minutes of a day with the minutes that the source reports.
"""

import threading
from collections.abc import Callable, Iterable
from math import nan

import redis
from prometheus_client import Gauge

from feeds import metrics
from feeds.errors import StoreUnavailable
from feeds.store.audit_reports import AuditReport, SymbolAudit, read_reports

READ_SECONDS = 5.0


class AuditWatch:
    """Reads the audits of these sources every READ_SECONDS, in a thread of its own, and sets the metrics.

    A source without an audit has the value NaN. While Redis does not answer, the metrics keep their values.
    """

    # A scrape must not read Redis itself. While Redis hangs, Prometheus would get no metrics of this process in time.

    def __init__(self, client: redis.Redis, sources: Iterable[str], stop: threading.Event) -> None:
        self._client = client
        self._sources = list(sources)
        self._stop = stop
        self._thread = threading.Thread(target=self._run, name="audits", daemon=True)
        self._set_metrics([])

    def start(self) -> None:
        self._thread.start()

    def read(self) -> None:
        """Reads the audits once. Does nothing if Redis does not answer."""
        try:
            reports = read_reports(self._client, self._sources)
        except StoreUnavailable:
            return
        self._set_metrics(reports)

    def _run(self) -> None:
        self.read()
        while not self._stop.wait(READ_SECONDS):
            self.read()

    def _set_metrics(self, reports: Iterable[AuditReport]) -> None:
        found = {report.source: report for report in reports}
        for source in self._sources:
            for gauge, value in VALUES:
                gauge.labels(source).set(_sum(found.get(source), value))


def lost(found: SymbolAudit) -> float:
    return nan if found.lost is None else found.lost


def repeated(found: SymbolAudit) -> float:
    return nan if found.repeated is None else found.repeated


def inexact(found: SymbolAudit) -> float:
    return found.different + found.missing + found.replaced


Value = Callable[[SymbolAudit], float]
VALUES: tuple[tuple[Gauge, Value], ...] = (
    (metrics.AUDIT_LOST, lost),
    (metrics.AUDIT_REPEATED, repeated),
    (metrics.AUDIT_INEXACT, inexact),
)


def _sum(report: AuditReport | None, value: Value) -> float:
    return nan if report is None else sum(value(found) for found in report.symbols if not found.problem)
