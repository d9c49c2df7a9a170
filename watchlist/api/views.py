"""What scripts ask over HTTP: newest prices, and tickers to add. Public and read-only; JSON both."""

import hashlib

import msgspec
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.cache import patch_cache_control
from django.utils.http import parse_etags, quote_etag
from django.views.decorators.http import require_safe

from feeds.symbols import is_symbol, upper_case
from watchlist.lists.rules import MOST_SYMBOLS
from watchlist.lists.search import search, served_tickers, ticker_of
from watchlist.prices.quotes import read_quotes
from watchlist.prices.ranges import encode_candles, parse_range, read_range_candles

JSON = "application/json"


@require_safe
def show_quotes(request: HttpRequest) -> HttpResponse:
    """`?symbols=AAPL,BTC/USD`, at most 200: the newest update of each that has one, as they travel on `/ws`.

    `{"source":"simulated","quotes":[{"symbol":…,"price":…,"timestamp":…,"seq_id":…}]}`; 503 while Redis is away.
    """
    asked = list(dict.fromkeys(upper_case(word) for word in request.GET.get("symbols", "").split(",") if word.strip()))
    if not asked or len(asked) > MOST_SYMBOLS or not all(map(is_symbol, asked)):
        return _refuse(f"symbols must be 1 to {MOST_SYMBOLS} symbols with commas between", 400)
    valid = set(served_tickers().filter(symbol__in=asked).values_list("symbol", flat=True))
    quotes = read_quotes([symbol for symbol in asked if symbol in valid])
    if not quotes.available:
        return _refuse("prices are not readable now", 503)
    body = msgspec.json.encode({"source": "simulated", "quotes": list(quotes.updates.values())})
    return _answer(request, body)


@require_safe
def show_bars(request: HttpRequest, symbol: str) -> HttpResponse:
    """`?range=1h`: what a chart shows, `{"step":60,"bars":[[start,open,high,low,close],…]}`. 404 for no ticker."""
    ticker = ticker_of(symbol)
    if ticker is None:
        return _refuse("no ticker has this symbol", 404)
    series = read_range_candles(ticker, parse_range(request.GET.get("range", "")))
    return _answer(request, msgspec.json.encode({"source": "simulated", **encode_candles(series)}))


@require_safe
def show_matches(request: HttpRequest) -> HttpResponse:
    """`?q=app`: up to eight tickers, the best first: `[{"symbol":"AAPL","name":"Apple"}]`."""
    found = [{"symbol": ticker.symbol, "name": ticker.name} for ticker in search(request.GET.get("q", ""))]
    response = HttpResponse(msgspec.json.encode(found), content_type=JSON)
    patch_cache_control(response, private=True, max_age=10)
    return response


def _answer(request: HttpRequest, body: bytes) -> HttpResponse:
    """With an ETag, so that a poll between two updates costs a few bytes."""
    etag = quote_etag(hashlib.blake2b(body, digest_size=12).hexdigest())
    same = etag in parse_etags(request.headers.get("If-None-Match", ""))
    response = HttpResponseNotModified() if same else HttpResponse(body, content_type=JSON)
    response.headers["ETag"] = etag
    response.headers["Access-Control-Allow-Origin"] = "*"
    patch_cache_control(response, public=True, no_cache=True)
    return response


def _refuse(message: str, status: int) -> HttpResponse:
    response = HttpResponse(msgspec.json.encode({"error": message}), status=status, content_type=JSON)
    patch_cache_control(response, no_store=True)
    return response
