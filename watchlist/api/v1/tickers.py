"""Operations that read the served tickers."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Path, Query, Router
from ninja.errors import HttpError

from feeds.models import Ticker
from feeds.symbols import is_symbol, upper_case
from watchlist.api.v1.access import READ_ACCESS
from watchlist.api.v1.answers import answer, answer_json
from watchlist.api.v1.queries import SymbolInput, TickerQuery
from watchlist.api.v1.schemas import TickerInfo, Tickers
from watchlist.lists.search import served_tickers

KEYS = ("symbol", "name", "source", "currency", "decimals")
router = Router(auth=READ_ACCESS, tags=["tickers"])


@router.get("/tickers", response=Tickers, summary="Read tickers", operation_id="readTickers")
def read_tickers(request: HttpRequest, query: Query[TickerQuery]) -> HttpResponse:
    """Returns the tickers that this site serves, sorted by symbol."""
    found = served_tickers().order_by("symbol")
    if query.source:
        found = found.filter(source=query.source)
    if query.page_token is not None:
        found = found.filter(symbol__gt=query.page_token.upper())
    tickers = [_describe(ticker) for ticker in found[: query.limit + 1]]
    page = tickers[: query.limit]
    value = {"tickers": page, "next_page_token": page[-1]["symbol"] if len(tickers) > len(page) else None}
    return answer(request, value, KEYS, ([ticker[key] for key in KEYS] for ticker in page))


@router.get("/tickers/{path:symbol}", response=TickerInfo, summary="Read a ticker", operation_id="readTicker")
def read_ticker(request: HttpRequest, symbol: Path[SymbolInput]) -> HttpResponse:
    """Returns one ticker. Write a slash in a symbol as `%2F` or as it is: `BTC/USD`."""
    return answer_json(request, _describe(find_served(symbol)))


def find_served(symbol: str) -> Ticker:
    """Returns the served ticker with this symbol. Ignores case. Raises HttpError 404."""
    symbol = upper_case(symbol)
    ticker = served_tickers().filter(symbol=symbol).first() if is_symbol(symbol) else None
    if ticker is None:
        raise HttpError(404, "this site serves no ticker with this symbol")
    return ticker


def _describe(ticker: Ticker) -> dict[str, Any]:
    return {key: getattr(ticker, key) for key in KEYS}
