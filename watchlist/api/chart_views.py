"""Answers `/v8/finance/chart/SYMBOL`, the address that self-hosted dashboards request at Yahoo Finance."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.cache import patch_cache_control

from feeds.bar_layout import VOLUME_UNIT
from feeds.models import Ticker
from feeds.symbols import is_symbol
from watchlist.api.chart_json import JSON, encode_chart, make_chart_error
from watchlist.api.views import public
from watchlist.lists.foreign_symbols import possible_symbols
from watchlist.lists.search import served_tickers
from watchlist.prices.candles import Candle
from watchlist.prices.change import reference_price
from watchlist.prices.chart_steps import RANGES, BadChart, ChartSteps, parse_steps
from watchlist.prices.day import NO_DAY, Day
from watchlist.prices.history import read_close_before, read_market_days, read_minutes_of_step
from watchlist.prices.quotes import read_quotes
from watchlist.prices.recent_days import read_days
from watchlist.prices.source_labels import title_of
from watchlist.prices.year_ranges import read_year_ranges


@public
def show_chart(request: HttpRequest, spelling: str) -> HttpResponse:
    """Answers `?range=1mo&interval=1d` with the candles and the newest price of a served ticker.

    `spelling` is the symbol, or another spelling of it, such as `BTC-USD` for `BTC/USD`. Answers 404 if no ticker has
    the symbol, if no price of the ticker is known, or if DASHBOARD_API is false. Answers 422 for an invalid range or
    interval.
    """
    if not settings.DASHBOARD_API:
        return make_chart_error("this site answers no dashboards (DASHBOARD_API is false)", 404)
    now = timezone.now()
    try:
        steps = parse_steps(request.GET.get("range", ""), request.GET.get("interval", ""), now)
    except BadChart as error:
        return make_chart_error(str(error), 422)
    ticker = find_spelled_ticker(spelling)
    if ticker is None:
        return make_chart_error("no ticker has this symbol", 404)
    candles = read_step_candles(ticker.symbol, steps, now)
    meta = describe_chart(ticker, steps, candles, now)
    if meta is None:
        return make_chart_error("no price of this symbol is known", 404)
    response = HttpResponse(encode_chart(meta, candles), content_type=JSON)
    is_private = settings.PRIVATE or getattr(request, "api_token", None) is not None
    patch_cache_control(response, **{"private" if is_private else "public": True}, no_cache=True)
    return response


def find_spelled_ticker(spelling: str) -> Ticker | None:
    """Returns the served ticker whose symbol is most similar to a spelling; None if no ticker fits."""
    symbols = list(filter(is_symbol, possible_symbols(spelling)))
    found = {ticker.symbol: ticker for ticker in served_tickers().filter(symbol__in=symbols)}
    return next((found[symbol] for symbol in symbols if symbol in found), None)


def read_step_candles(symbol: str, steps: ChartSteps, now: datetime) -> Sequence[Candle]:
    first = steps.find_first(now)
    if steps.minutes is None:
        return steps.join_days(read_market_days(symbol, first.date()))
    return read_minutes_of_step(symbol, first, steps.minutes, now)


def describe_chart(
    ticker: Ticker, steps: ChartSteps, candles: Sequence[Candle], now: datetime
) -> dict[str, Any] | None:
    """Returns the key `meta` of a chart: names, the newest price and the newest day. Returns None without a price."""
    quote = read_quotes([ticker.symbol]).updates.get(ticker.symbol)
    if quote is None and not candles:
        return None
    day = read_days([ticker.symbol], now).get(ticker.symbol, NO_DAY)
    return {
        **describe_ticker(ticker),
        "regularMarketPrice": candles[-1].close if quote is None else quote.price,
        "regularMarketTime": candles[-1].start if quote is None else quote.timestamp // 1_000_000,
        **describe_day(ticker, day),
        **describe_year(ticker.symbol, now),
        "chartPreviousClose": find_previous_close(ticker, steps, candles, day),
        "dataGranularity": steps.interval,
        "range": steps.range,
        "validRanges": RANGES,
    }


def describe_ticker(ticker: Ticker) -> dict[str, Any]:
    """Returns the keys that do not depend on prices."""
    name = ticker.name or ticker.symbol
    return {
        "currency": ticker.currency,
        "symbol": ticker.symbol,
        "shortName": name,
        "longName": name,
        "exchangeName": ticker.source,
        "fullExchangeName": title_of(ticker.source),
        "priceHint": ticker.decimals,
        "timezone": "UTC",
        "exchangeTimezoneName": "UTC",
        "gmtoffset": 0,
    }


def describe_day(ticker: Ticker, day: Day) -> dict[str, Any]:
    """Returns the keys about the newest market day. Unknown prices are left out."""
    known = {} if day.range is None else {"regularMarketDayHigh": day.range.high, "regularMarketDayLow": day.range.low}
    return {
        **known,
        "regularMarketVolume": day.volume * VOLUME_UNIT,
        "previousClose": reference_price(ticker.base_price, day.previous_close),
    }


def describe_year(symbol: str, now: datetime) -> dict[str, Any]:
    """Returns the keys about the last 52 weeks; no keys if no day of the symbol is recorded."""
    year = read_year_ranges([symbol], now).get(symbol)
    return {} if year is None else {"fiftyTwoWeekHigh": year.high, "fiftyTwoWeekLow": year.low}


def find_previous_close(ticker: Ticker, steps: ChartSteps, candles: Sequence[Candle], day: Day) -> float:
    """Returns the previous close of a chart.

    A chart of one day, or without candles, has the reference price of the symbol. A longer chart has the close of the
    last recorded day before its first candle. If no such day is recorded, a longer chart has the open of its first
    candle.
    """
    if steps.range == "1d" or not candles:
        return reference_price(ticker.base_price, day.previous_close)
    first = datetime.fromtimestamp(candles[0].start, UTC).date()
    close = read_close_before(ticker.symbol, first)
    return candles[0].open if close is None else close
