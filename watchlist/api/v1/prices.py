"""Operations that read quotes and snapshots of many symbols."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import P, QueryEx, Router
from ninja.errors import HttpError

from feeds.bar_layout import VOLUME_UNIT
from feeds.models import Ticker
from feeds.wire import Update
from watchlist.api.v1.access import READ_ACCESS
from watchlist.api.v1.answers import answer
from watchlist.api.v1.schemas import Quotes, Snapshots
from watchlist.api.v1.symbols import (
    MAX_SYMBOLS_LENGTH,
    NO_PRICE,
    SYMBOLS_PATTERN,
    describe_errors,
    sort_found,
    split_symbols,
)
from watchlist.lists.rules import MAX_SYMBOLS
from watchlist.lists.search import served_tickers
from watchlist.prices import quotes
from watchlist.prices.change import change, change_percent, reference_price
from watchlist.prices.day import Day
from watchlist.prices.recent_days import read_days
from watchlist.prices.source_labels import describe_sources

QUOTE_KEYS = ("symbol", "price", "timestamp", "seq_id", "size", "bid", "ask")
DAY_KEYS = ("open", "high", "low", "volume")
TICKER_KEYS = ("symbol", "name", "source", "currency")
PERCENT_DECIMALS = 4
CHANGE_KEYS = ("previous_close", "change", "change_percent")
SYMBOLS = P(
    description="1 to 200 symbols, separated by commas.",
    max_length=MAX_SYMBOLS_LENGTH,
    pattern=SYMBOLS_PATTERN,
    example="AAPL,BTC/USD",
)
router = Router(auth=READ_ACCESS, tags=["prices"])


@router.get("/quotes", response=Quotes, summary="Read quotes", operation_id="readQuotes")
def read_quotes(request: HttpRequest, symbols: QueryEx[str, SYMBOLS]) -> HttpResponse:
    """Returns the newest update of each symbol. A CSV answer leaves the errors out."""
    asked, errors = split_symbols(_split(symbols))
    served = dict(served_tickers().filter(symbol__in=asked).order_by().values_list("symbol", "source"))
    sources, unknown = sort_found(asked, served)
    updates = _read_updates(list(sources))
    source = describe_sources([sources[symbol] for symbol in updates]).name
    missing = describe_errors(NO_PRICE, [symbol for symbol in sources if symbol not in updates])
    value = {"source": source, "quotes": list(updates.values()), "errors": [*errors, *unknown, *missing]}
    return answer(request, value, QUOTE_KEYS, (_quote_cells(update) for update in updates.values()))


@router.get("/snapshot", response=Snapshots, summary="Read quotes, days and closes", operation_id="readSnapshots")
def read_snapshots(request: HttpRequest, symbols: QueryEx[str, SYMBOLS]) -> HttpResponse:
    """Returns the quote, the newest market day and the previous close of each symbol.

    A value that is unknown is null. A CSV answer leaves the errors out.
    """
    asked, errors = split_symbols(_split(symbols))
    served = {ticker.symbol: ticker for ticker in served_tickers().filter(symbol__in=asked).order_by()}
    tickers, unknown = sort_found(asked, served)
    updates = _read_updates(list(tickers))
    days = read_days(list(tickers), timezone.now())
    snapshots = [_describe(ticker, updates.get(symbol), days.get(symbol)) for symbol, ticker in tickers.items()]
    header = (*TICKER_KEYS, *QUOTE_KEYS[1:4], *DAY_KEYS, *CHANGE_KEYS)
    value = {"snapshots": snapshots, "errors": [*errors, *unknown]}
    return answer(request, value, header, map(_snapshot_cells, snapshots))


def _split(symbols: str) -> list[str]:
    """Returns the texts between the commas. Raises HttpError 422 if there are too many."""
    words = symbols.split(",")
    if len(words) > MAX_SYMBOLS:
        raise HttpError(422, f"symbols must be 1 to {MAX_SYMBOLS} symbols separated by commas")
    return words


def _read_updates(symbols: list[str]) -> dict[str, Update]:
    """Returns a dict from symbol to quote. Raises HttpError 503 if Redis does not answer."""
    found = quotes.read_quotes(symbols)
    if not found.available:
        raise HttpError(503, "prices are unavailable")
    return dict(found.updates)


def _describe(ticker: Ticker, update: Update | None, day: Day | None) -> dict[str, Any]:
    previous_close = day.previous_close if day else None
    reference = reference_price(ticker.base_price, previous_close)
    return {
        **{key: getattr(ticker, key) for key in TICKER_KEYS},
        "quote": update,
        "day": _describe_day(day) if day else None,
        "previous_close": previous_close,
        "change": round(change(update.price, reference), ticker.decimals) if update else None,
        "change_percent": round(change_percent(update.price, reference), PERCENT_DECIMALS) if update else None,
    }


def _describe_day(day: Day) -> dict[str, Any]:
    return {"open": day.open, "high": day.high, "low": day.low, "volume": day.volume * VOLUME_UNIT}


def _quote_cells(update: Update) -> list[Any]:
    cells = [getattr(update, key) for key in QUOTE_KEYS]
    return [*cells[:4], *(cell or None for cell in cells[4:])]  # 0 means unknown


def _snapshot_cells(snapshot: dict[str, Any]) -> list[Any]:
    update, day = snapshot["quote"], snapshot["day"] or {}
    return [
        *(snapshot[key] for key in TICKER_KEYS),
        *(getattr(update, key, None) for key in QUOTE_KEYS[1:4]),
        *(day.get(key) for key in DAY_KEYS),
        *(snapshot[key] for key in CHANGE_KEYS),
    ]
