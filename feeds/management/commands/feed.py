"""`manage.py feed audit`: compares a day of recorded bars with the bars of the source."""

import asyncio
import time
from datetime import date
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from feeds.errors import StoreUnavailable, TransientError
from feeds.feeder.http_client import RequestFailed
from feeds.history.audit import Audit
from feeds.management.source_history import SourceHistory, find_tickers, open_history
from feeds.sources.adapter import BadMessage
from feeds.store.audit_reports import AuditReport, SymbolAudit, write_report
from feeds.store.connection import connect


class Command(BaseCommand):
    help = "Examines the prices of a source."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        audit = commands.add_parser("audit", help="compare yesterday's recorded bars with the source's own")
        audit.add_argument("source", help="the source, such as kraken")
        audit.add_argument("--day", type=date.fromisoformat, help="the market day, such as 2026-11-22; else yesterday")

    def handle(self, *_args: Any, source: str, day: date | None, **_options: Any) -> None:
        report = asyncio.run(self._audit(source.lower(), day))
        for found in report.symbols:
            self.stdout.write(describe(found))
        client = connect(settings.REDIS)
        try:
            write_report(client, report)
        except StoreUnavailable as error:
            raise CommandError(f"the report is not on the page /feeds/audit: {error}") from error
        finally:
            client.close()
        if any(found.problem for found in report.symbols):
            raise SystemExit(1)

    async def _audit(self, source: str, day: date | None) -> AuditReport:
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
    """Returns the line of a symbol."""
    if found.problem:
        return f"{found.symbol}: {found.problem}"
    trades = "" if found.lost is None else f"lost {found.lost}, repeated {found.repeated} trades; "
    return (
        f"{found.symbol}: {trades}lost volume {found.lost_volume:.8f}, repeated volume {found.repeated_volume:.8f}; "
        f"{found.minutes} minutes: {found.exact} exact, {found.different} different, {found.missing} missing, "
        f"{found.replaced} replaced"
    )
