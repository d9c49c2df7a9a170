"""Compares recorded bars of a day with the source's bars, for `manage.py feed audit`."""

import asyncio
import time
from collections.abc import Callable
from datetime import date

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.management.base import CommandError

from feeds.errors import StoreUnavailable, TransientError
from feeds.feeder.network.http_client import RequestFailed
from feeds.history.audit import Audit
from feeds.management.source_history import SourceHistory, find_tickers, open_history
from feeds.sources.adapter import BadMessage
from feeds.store.audit_reports import AuditReport, SymbolAudit, write_report
from feeds.store.connection import connect


def audit_source(source: str, day: date | None, write: Callable[[str], object]) -> bool:
    """Compares a day's recorded bars with the source's bars. Returns whether all symbols could be compared.

    Writes a line per symbol, and stores the report for the page /feeds/audit. If `day` is None, yesterday is compared.
    Raises CommandError.
    """
    report = asyncio.run(_audit(source, day))
    for found in report.symbols:
        write(describe(found))
    client = connect(settings.REDIS)
    try:
        write_report(client, report)
    except StoreUnavailable as error:
        raise CommandError(f"the report is not on the page /feeds/audit: {error}") from error
    finally:
        client.close()
    return not any(found.problem for found in report.symbols)


async def _audit(source: str, day: date | None) -> AuditReport:
    async with open_history(source) as history:
        now = time.time_ns() // 1000
        today = history.market_days.day_at(now)
        day = day or date.fromordinal(today - 1)
        if day.toordinal() >= today:
            raise CommandError(f"{day} is not over yet")
        tickers = (await sync_to_async(find_tickers)([], source)).get(source, [])
        audit = Audit(history.source, history.client.get, history.market_days, day)
        symbols = [await _audit_symbol(history, audit, symbol, native) for symbol, native in tickers]
    return AuditReport(source, day.isoformat(), now // 1_000_000, symbols)


async def _audit_symbol(history: SourceHistory, audit: Audit, symbol: str, native: str) -> SymbolAudit:
    try:
        return await audit.run(symbol, native or history.source.to_native(symbol))
    except (RequestFailed, BadMessage, TransientError) as error:
        return SymbolAudit(symbol, problem=str(error))


def describe(found: SymbolAudit) -> str:
    """Returns the result for one symbol as a line of text."""
    if found.problem:
        return f"{found.symbol}: {found.problem}"
    incomplete = f", {found.incomplete} incomplete" if found.incomplete else ""
    trades = "" if found.lost is None else f"lost {found.lost}, repeated {found.repeated} trades; "
    return (
        f"{found.symbol}: {trades}lost volume {found.lost_volume:.8f}, repeated volume {found.repeated_volume:.8f}; "
        f"{found.minutes} minutes: {found.exact} exact, {found.different} different, {found.missing} missing, "
        f"{found.replaced} replaced{incomplete}"
    )
