"""Shows the newest audit of each source as Prometheus metrics. Each scrape reads the audits from Redis.

An audit compares the recorded minutes of a day with the minutes that the source reports.
"""

from collections.abc import Callable, Iterable
from functools import partial
from math import nan

import redis

from feeds import metrics
from feeds.errors import StoreUnavailable
from feeds.store.audit_reports import SymbolAudit, read_reports


def serve_audits(client: redis.Redis, sources: Iterable[str]) -> None:
    """Adds the audits of these sources to the metrics of this process. A source without an audit has the value NaN."""
    for source in sources:
        for gauge, value in (
            (metrics.AUDIT_LOST, lost),
            (metrics.AUDIT_REPEATED, repeated),
            (metrics.AUDIT_INEXACT, inexact),
        ):
            gauge.labels(source).set_function(partial(_sum, client, source, value))


def lost(found: SymbolAudit) -> float:
    return nan if found.lost is None else found.lost


def repeated(found: SymbolAudit) -> float:
    return nan if found.repeated is None else found.repeated


def inexact(found: SymbolAudit) -> float:
    return found.different + found.missing + found.replaced


def _sum(client: redis.Redis, source: str, value: Callable[[SymbolAudit], float]) -> float:
    try:
        reports = read_reports(client, [source])
    except StoreUnavailable:
        return nan
    return sum(value(found) for report in reports for found in report.symbols if not found.problem) if reports else nan
