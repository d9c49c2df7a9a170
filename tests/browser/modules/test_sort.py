"""The module that sorts rows, compared with the server's sorting."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page

from feeds.models import Ticker
from feeds.wire import Update
from tests.support.browser.modules import run_module
from watchlist.page.columns import SORTABLE_COLUMNS
from watchlist.page.rows import Row, make_row
from watchlist.page.sorting import headings, read_sort
from watchlist.prices.day import Day, PriceRange

pytestmark = pytest.mark.browser

SORTS = [*SORTABLE_COLUMNS, *(f"-{column}" for column in SORTABLE_COLUMNS)]


def random_row(rng: random.Random, number: int) -> Row:
    ticker = Ticker(symbol=f"S{rng.randint(0, 99)}", base_price=rng.choice([50.0, 100.0]))
    bid, ask = rng.choice([(0.0, 0.0), (20.0, 21.0), (30.0, 31.0)])
    update = Update(ticker.symbol, rng.randint(1, 9) * 20.0, 10**15 + rng.randint(0, 5), number, 0.0, bid, ask)
    day = Day(rng.choice([None, 1.0, 2.0]), 500.0, 1.0, rng.choice([None, 80.0]), volume=rng.randint(0, 3) * 10**8)
    year = rng.choice([None, PriceRange(10.0, 400.0), PriceRange(90.0, 91.0)])
    return make_row(ticker, rng.choice([None, update, update]), datetime.now(UTC), timedelta(1), day, year=year)


def to_quote(row: Row) -> dict:
    """The quote of a row as the page holds it: without the fields that are unknown."""
    day = {"previousClose": row.day.previous_close, "open": row.day.open, "high": row.day.high, "low": row.day.low}
    quote = {"symbol": row.ticker.symbol, "base": row.ticker.base_price, "bid": row.bid, "ask": row.ask} | day
    quote |= {"volume": row.day.volume} | ({"yearLow": row.year.low, "yearHigh": row.year.high} if row.year else {})
    if row.update:
        quote |= {"price": row.update.price, "timestamp": row.update.timestamp}
    return {name: value for name, value in quote.items() if value is not None}


def test_a_click_on_a_header_leads_to_the_same_sort_as_its_link(page: Page):
    pairs = [[column, sort] for column in SORTABLE_COLUMNS for sort in ["", *SORTS]]
    sorts = run_module(page, "sort", "return given.map(([column, sort]) => module.nextSort(column, sort));", pairs)
    assert sorts == [headings(read_sort(sort))[column].leads_to for column, sort in pairs]


def test_rows_are_sorted_as_on_the_server(page: Page):
    rng = random.Random(5)
    rows = [random_row(rng, number) for number in range(40)]
    body = """
    const [quotes, sorts] = given;
    const items = quotes.map((quote, index) => ({ quote, index }));
    return sorts.map((sort) => module.sortItems([...items], sort, (item) => item.quote).map((item) => item.index));
    """
    orders = run_module(page, "sort", body, [[to_quote(row) for row in rows], SORTS])
    for sort, order in zip(SORTS, orders, strict=True):
        assert [rows[index] for index in order] == read_sort(sort).arrange(rows), sort
