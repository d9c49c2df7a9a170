"""Compares the recorded bars of a market day with the bars that the source itself reports."""

from datetime import date
from typing import Any

from asgiref.sync import sync_to_async

from feeds.bar_layout import VOLUME_UNIT
from feeds.history.comparison import MINUTE_US, Comparison, RecordedMinute, compare_minutes
from feeds.history.market_days import MarketDays
from feeds.history.missed_spans import read_spans, touched_minutes
from feeds.history.pages import Fetch, fetch_pages
from feeds.history.past_bars import MINUTE_SECONDS
from feeds.history.transactions import translate_errors
from feeds.models import MinuteBar, Origin, Tape
from feeds.sources.adapter import Source
from feeds.sources.events import Bar
from feeds.store.audit_reports import SymbolAudit


class Audit:
    """Compares the recorded minute bars of one market day with the source's minute bars."""

    def __init__(self, source: Source, fetch: Fetch, market_days: MarketDays, day: date) -> None:
        self._source = source
        self._fetch = fetch
        self._begin = market_days.begin(day.toordinal())
        self._end = market_days.begin(day.toordinal() + 1)

    async def run(self, symbol: str, native: str) -> SymbolAudit:
        """Compares the minute bars of one symbol.

        Raises BarArchiveUnavailable, BadMessage, and the errors of `fetch`.
        """
        bars: list[Bar] = []
        history = self._source.history
        async for page in fetch_pages(history, self._fetch, native, MINUTE_SECONDS, self._begin, self._end):
            bars += page
        recorded = await sync_to_async(self._read_recorded)(symbol)
        return _summarize(symbol, len(bars), compare_minutes(recorded, bars))

    def _read_recorded(self, symbol: str) -> dict[int, RecordedMinute]:
        with translate_errors():
            tape = Tape.objects.filter(symbol=symbol, source=self._source.name).first()
            if tape is None:
                return {}
            base = MinuteBar.key(tape.pk, 0)
            rows = MinuteBar.objects.filter(
                id__gte=base + self._begin // MINUTE_US, id__lt=base + self._end // MINUTE_US
            )
            columns = rows.values_list("id", "open", "high", "low", "close", "count", "volume", "origin")
            lacking = touched_minutes(read_spans(tape.pk, self._begin, self._end), self._begin, self._end)
            return {row[0] - base: _read_minute(row, row[0] - base in lacking) for row in columns}


def _read_minute(row: tuple[Any, ...], lacks_trades: bool) -> RecordedMinute:
    _, open_, high, low, close, count, volume, origin = row
    is_fetched = origin != Origin.RECORDED
    return RecordedMinute(open_, high, low, close, count, volume, is_fetched, lacks_trades and not is_fetched)


def _summarize(symbol: str, minutes: int, found: Comparison) -> SymbolAudit:
    return SymbolAudit(
        symbol,
        minutes,
        found.exact,
        found.different,
        found.missing,
        found.replaced,
        found.lost if found.is_counted else None,
        found.repeated if found.is_counted else None,
        found.lost_units * VOLUME_UNIT,
        found.repeated_units * VOLUME_UNIT,
        incomplete=found.incomplete,
    )
