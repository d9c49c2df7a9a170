"""Encodes answers of `/v8/finance/chart` in the shape of Yahoo Finance.

No array has a null, because the dashboard Homarr refuses such a chart. A period without a price has no candle.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from django.http import HttpResponse

from feeds.bar_layout import VOLUME_UNIT
from watchlist.prices.candles import Candle

JSON = "application/json"
CODES = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    503: "Service Unavailable",
}


def encode_chart(meta: Mapping[str, Any], candles: Sequence[Candle]) -> bytes:
    """Returns the JSON text of a chart. `meta` describes the symbol and its newest price."""
    closes = [candle.close for candle in candles]
    quote = {
        "open": [candle.open for candle in candles],
        "high": [candle.high for candle in candles],
        "low": [candle.low for candle in candles],
        "close": closes,
        "volume": [candle.volume * VOLUME_UNIT for candle in candles],
    }
    result = {
        "meta": meta,
        "timestamp": [candle.start for candle in candles],
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": closes}]},
    }
    return msgspec.json.encode({"chart": {"result": [result], "error": None}})


def make_chart_error(description: str, status: int) -> HttpResponse:
    """Returns an error response. Pages of any site may read the response."""
    error = {"code": CODES[status], "description": description}
    body = msgspec.json.encode({"chart": {"result": None, "error": error}})
    response = HttpResponse(body, status=status, content_type=JSON)
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cache-Control"] = "no-store"
    return response
