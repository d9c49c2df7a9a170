"""Operation that reads the bars of one symbol, in pages."""

from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Path, Query, Router

from feeds.bar_layout import VOLUME_UNIT
from watchlist.api.v1.access import READ_ACCESS
from watchlist.api.v1.answers import answer
from watchlist.api.v1.queries import STEPS, BarQuery, SymbolInput
from watchlist.api.v1.schemas import Bars
from watchlist.api.v1.tickers import find_served
from watchlist.prices.bar_pages import DAY_SECONDS, read_bar_page
from watchlist.prices.ranges import RANGES

SECONDS_OF_MINUTES = 2 * DAY_SECONDS
"""The longest period, in seconds, that gets bars of a minute if the request names no step."""
KEYS = ("start", "open", "high", "low", "close", "volume")
router = Router(auth=READ_ACCESS, tags=["prices"])


@router.get("/bars/{path:symbol}", response=Bars, summary="Read bars", operation_id="readBars")
def read_bars(request: HttpRequest, symbol: Path[SymbolInput], query: Query[BarQuery]) -> HttpResponse:
    """Returns the bars of a symbol in a period, oldest first.

    A minute or day without a price has no bar. The newest bar may still change. A bar of a day starts at 00:00 UTC of
    the date of its market day.
    """
    ticker = find_served(symbol)
    now = timezone.now()
    step, begin, until = _read_period(query, now)
    page = read_bar_page(ticker.symbol, STEPS[step], begin, until, query.limit, now)
    bars = [[bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume * VOLUME_UNIT] for bar in page.bars]
    value = {
        "symbol": ticker.symbol,
        "source": ticker.source,
        "step": STEPS[step],
        "bars": bars,
        "next_page_token": None if page.next_start is None else f"{step}.{page.next_start}",
    }
    return answer(request, value, KEYS, bars)


def _read_period(query: BarQuery, now: datetime) -> tuple[str, int, int]:
    """Returns the step of the bars, and the begin and the end of the period.

    If the query has a page token, the token contains the step and the begin.
    """
    until = int(now.timestamp()) + 1 if query.until is None else query.until
    begin = _default_begin(query.range, until) if query.begin is None else query.begin
    step: str = query.step or ("1m" if until - begin <= SECONDS_OF_MINUTES else "1d")
    if query.page_token is not None:
        step, _, start = query.page_token.partition(".")
        begin = int(start)
    return step, begin, until


def _default_begin(range_name: str, until: int) -> int:
    span = RANGES[range_name].span
    return 0 if span is None else max(0, until - int(span.total_seconds()))
