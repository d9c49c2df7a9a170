"""Answers HTTP requests with JSON: quotes, market days, bars of a chart, and ticker search.

The endpoints change nothing. The endpoints need an account only if the site is private.
"""

import hashlib
from collections.abc import Callable
from functools import wraps

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseNotModified
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.utils.http import parse_etags, quote_etag

from feeds.bar_layout import VOLUME_UNIT
from feeds.symbols import is_symbol, upper_case
from watchlist.lists.rules import MAX_SYMBOLS
from watchlist.lists.search import find_ticker, search, served_tickers
from watchlist.prices.quotes import read_quotes
from watchlist.prices.ranges import encode_candles, parse_range, read_range_candles
from watchlist.prices.recent_days import read_days
from watchlist.prices.source_labels import describe_sources

JSON = "application/json"
SYMBOLS_RULE = f"symbols must be 1 to {MAX_SYMBOLS} symbols separated by commas"
View = Callable[..., HttpResponse]


def public(view: View) -> View:
    """Lets pages of any site read the responses of a view, including error responses.

    The view accepts GET and HEAD, and also CORS preflights.
    """

    @wraps(view)
    def answer(request: HttpRequest, *arguments: str, **options: str) -> HttpResponse:
        if request.method in {"GET", "HEAD"}:
            response = view(request, *arguments, **options)
        elif request.method == "OPTIONS":
            response = HttpResponse(status=204)
            response.headers["Access-Control-Allow-Methods"] = "GET, HEAD"
            response.headers["Access-Control-Allow-Headers"] = "If-None-Match"
            response.headers["Access-Control-Max-Age"] = "86400"
        else:
            response = HttpResponseNotAllowed(["GET", "HEAD", "OPTIONS"])
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Expose-Headers"] = "ETag"
        return response

    return answer


@public
def show_quotes(request: HttpRequest) -> HttpResponse:
    """Answers `?symbols=AAPL,BTC/USD` with the quotes of these symbols. Allows at most 200 symbols.

    The answer is `{"source":"kraken","quotes":[{"symbol":…,"price":…,"timestamp":…,"seq_id":…}]}`. `source` is the
    source of all quotes, `mixed` if there are several sources, or `none` if there are no quotes.

    Leaves out symbols without a price. Leaves out symbols whose ticker does not exist, is inactive, or is hidden by
    GATEWAY_VALID_TICKERS. Answers 400 if the request names no symbol, an invalid symbol or too many symbols. Answers
    503 if Redis, or a needed node of a Redis Cluster, is unavailable.
    """
    sources = _read_sources(request)
    if sources is None:
        return _refuse(SYMBOLS_RULE, 400)
    quotes = read_quotes(list(sources))
    if not quotes.available:
        return _refuse("prices are unavailable", 503)
    source = describe_sources([sources[symbol] for symbol in quotes.updates]).name
    return _respond(request, msgspec.json.encode({"source": source, "quotes": list(quotes.updates.values())}))


@public
def show_days(request: HttpRequest) -> HttpResponse:
    """Answers `?symbols=AAPL,BTC/USD` with the newest market day of each symbol. Allows at most 200 symbols.

    The answer is `{"days":[{"symbol":…,"open":…,"high":…,"low":…,"previous_close":…,"volume":…}]}`. `volume` is the sum
    of the trade sizes since the day began, in shares or coins.

    Leaves out symbols without a recorded market day. Leaves out symbols whose ticker does not exist, is inactive, or is
    hidden by GATEWAY_VALID_TICKERS. Answers 400 if the request names no symbol, an invalid symbol or too many symbols.
    """
    sources = _read_sources(request)
    if sources is None:
        return _refuse(SYMBOLS_RULE, 400)
    days = [
        {
            "symbol": symbol,
            "open": day.open,
            "high": day.high,
            "low": day.low,
            "previous_close": day.previous_close,
            "volume": day.volume * VOLUME_UNIT,
        }
        for symbol, day in read_days(list(sources), timezone.now()).items()
    ]
    return _respond(request, msgspec.json.encode({"days": days}))


@public
def show_bars(request: HttpRequest, symbol: str) -> HttpResponse:
    """Answers with the bars in the chart of a symbol. `?range=1h` sets the time span of the chart.

    The answer is `{"source":"kraken","step":60,"bars":[[start,open,high,low,close,volume],…]}`. `step` is the length of
    each bar in seconds. `start` is in unix seconds. `volume` is in shares or coins.

    An unknown range is replaced by the default range. Answers 404 if no ticker has the symbol.
    """
    ticker = find_ticker(symbol)
    if ticker is None:
        return _refuse("no ticker has this symbol", 404)
    series = read_range_candles(ticker, parse_range(request.GET.get("range", "")))
    return _respond(request, msgspec.json.encode({"source": ticker.source, **encode_candles(series)}))


@public
def show_matches(request: HttpRequest) -> HttpResponse:
    """Answers `?q=app` with up to eight tickers, the best match first.

    The answer is `[{"symbol":"AAPL","name":"Apple","source":"simulated","currency":"USD"}]`. `currency` may be empty.
    """
    keys = ("symbol", "name", "source", "currency")
    matches = [{key: getattr(ticker, key) for key in keys} for ticker in search(request.GET.get("q", ""))]
    response = HttpResponse(msgspec.json.encode(matches), content_type=JSON)
    patch_cache_control(response, private=True, max_age=10)
    return response


def _read_sources(request: HttpRequest) -> dict[str, str] | None:
    """Returns a dict from symbol to source for the symbols in `?symbols=`, or None if `?symbols=` is not valid.

    Leaves out each symbol whose ticker does not exist, is inactive, or is hidden by GATEWAY_VALID_TICKERS.
    """
    words = request.GET.get("symbols", "").split(",")
    symbols = list(dict.fromkeys(upper_case(word) for word in words if word.strip()))
    if not symbols or len(symbols) > MAX_SYMBOLS or not all(map(is_symbol, symbols)):
        return None
    served = dict(served_tickers().filter(symbol__in=symbols).values_list("symbol", "source"))
    return {symbol: served[symbol] for symbol in symbols if symbol in served}


def _respond(request: HttpRequest, body: bytes) -> HttpResponse:
    """Returns a response with the body and an ETag, or a 304 without a body if the client already has the body."""
    etag = quote_etag(hashlib.blake2b(body, digest_size=12).hexdigest())
    known = parse_etags(request.headers.get("If-None-Match", ""))
    is_same = "*" in known or etag in {each.removeprefix("W/") for each in known}  # a proxy that compresses adds W/
    response = HttpResponseNotModified() if is_same else HttpResponse(body, content_type=JSON)
    response.headers["ETag"] = etag
    patch_cache_control(response, **{"private" if settings.PRIVATE else "public": True}, no_cache=True)
    return response


def _refuse(message: str, status: int) -> HttpResponse:
    response = HttpResponse(msgspec.json.encode({"error": message}), status=status, content_type=JSON)
    patch_cache_control(response, no_store=True)
    return response
