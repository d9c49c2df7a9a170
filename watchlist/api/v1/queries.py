"""Defines the query parameters of operations that read pages."""

from typing import Annotated, Literal

from ninja import Schema
from pydantic import Field

from feeds.symbols import MAX_SYMBOL_LENGTH
from watchlist.prices.bar_pages import DAY_SECONDS, MAX_BARS, MAX_SECONDS, MINUTE_SECONDS

SYMBOL_INPUT_PATTERN = r"^[A-Za-z0-9^][A-Za-z0-9.\-^/=]*$"
"""Matches a symbol in any case. The maximum length is checked separately."""
MAX_TICKERS = 200
RANGE_NAMES = Literal["5m", "1h", "1d", "1w", "1mo", "6mo", "1y", "all"]
"""The keys of `prices.ranges.RANGES`."""
STEPS = {"1m": MINUTE_SECONDS, "1d": DAY_SECONDS}
NEXT_PAGE = "`next_page_token` of the page before. Repeat the other parameters."

Time = Annotated[int, Field(ge=0, le=MAX_SECONDS)]
SymbolInput = Annotated[str, Field(max_length=MAX_SYMBOL_LENGTH, pattern=SYMBOL_INPUT_PATTERN)]


class BarQuery(Schema):
    range: RANGE_NAMES = Field("1h", description="How long before `until` the bars begin, if `from` is missing.")
    begin: Time | None = Field(None, alias="from", description="Bars start at this unix time or later, in seconds.")
    until: Time | None = Field(None, description="Bars start before this unix time, in seconds. Now if missing.")
    step: Literal["1m", "1d"] | None = Field(
        None, description="The length of a bar. If missing, 1m for a period of up to two days, otherwise 1d."
    )
    limit: int = Field(500, ge=1, le=MAX_BARS, description="The maximum number of bars of a page.")
    page_token: str | None = Field(None, max_length=14, pattern=r"^1[md]\.[0-9]{1,11}$", description=NEXT_PAGE)


class TickerQuery(Schema):
    source: str = Field(
        "", max_length=20, pattern=r"^[a-z]*$", description="Only tickers of this source. All sources if empty."
    )
    limit: int = Field(100, ge=1, le=MAX_TICKERS, description="The maximum number of tickers of a page.")
    page_token: SymbolInput | None = Field(None, description=NEXT_PAGE)
