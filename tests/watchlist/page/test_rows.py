from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.wire import Update
from tests.support.cases import read_cases
from tests.support.watchlist.rows import NOW, STALE_AFTER, TickerStub, row_of
from watchlist.formatting.moments import write_moment
from watchlist.formatting.numbers import NO_VALUE, side_of
from watchlist.formatting.numerals import MINUS
from watchlist.page.rows import make_row, name_reference
from watchlist.prices.day import Day


def test_a_price_has_the_tickers_decimals_and_group_marks():
    assert row_of(98234.5, decimals=1).last == "98,234.5"
    assert row_of(1.0418, decimals=5).last == "1.04180"
    assert row_of(1234567.0, decimals=0).last == "1,234,567"


def test_changes_are_relative_to_the_base_price():
    row = row_of(102.5)
    assert (row.change, row.percent, row.side, row.arrow) == ("+2.50", "+2.50%", "up", "▲")


def test_a_fall_has_a_minus_sign_and_not_a_hyphen():
    row = row_of(99.0)
    assert (row.change, row.percent, row.side) == (f"{MINUS}1.00", f"{MINUS}1.00%", "down")


def test_a_change_that_rounds_to_zero_has_neither_sign_nor_arrow():
    row = row_of(99.999)
    assert (row.change, row.side, row.arrow) == ("0.00", "flat", "")


def test_a_row_without_a_price_is_empty_and_not_stale():
    row = make_row(TickerStub(), None, NOW, STALE_AFTER)
    assert [row.last, row.change, row.percent, row.as_of] == [NO_VALUE] * 4
    assert (row.stale, row.css_classes, row.iso) == (False, "no-price", "")


def test_a_row_is_stale_after_the_limit_and_not_at_it():
    assert not row_of(1.0, age=5).stale
    assert row_of(1.0, age=5.001).stale


def test_a_ticker_that_is_not_served_is_marked():
    assert make_row(TickerStub(), None, NOW, STALE_AFTER, served=False).css_classes == "off no-price"


def test_the_time_has_a_zone_and_has_a_date_only_on_other_days():
    assert row_of(1.0, age=1).as_of == "16:02:11 UTC"
    assert row_of(1.0, age=1).iso == "2026-11-22T16:02:11.000Z"
    assert write_moment(NOW - timedelta(days=1), NOW) == "2026-11-21 16:02 UTC"


def test_the_newest_price_extends_the_range_of_the_day():
    day = Day(100.0, 103.0, 99.0)
    update = Update("AAPL", 104.0, int(NOW.timestamp() * 1_000_000), 1)
    row = make_row(TickerStub(), update, NOW, STALE_AFTER, day)
    assert (row.day.open, row.day.high, row.day.low) == (100.0, 104.0, 99.0)


@pytest.mark.parametrize("case", read_cases("reference_name"))
def test_the_reference_price_is_named_for_all_rows(case):
    days = [Day(previous_close=close) for close in case["closes"]]
    assert name_reference([make_row(TickerStub(), None, NOW, STALE_AFTER, day) for day in days]) == case["name"]


@given(
    st.floats(min_value=5e-324, allow_nan=False, allow_infinity=False),
    st.floats(min_value=1e-8, max_value=1e12),
    st.integers(0, 8),
    st.integers(0, 2**53 - 1),
)
def test_any_price_of_the_wire_makes_a_row(price, base_price, decimals, timestamp):
    ticker = TickerStub(base_price=base_price, decimals=decimals)
    row = make_row(ticker, Update("AAPL", price, timestamp, 1), NOW, STALE_AFTER)
    assert row.side == side_of(row.change)
    assert row.last.replace(",", "").replace(".", "").isdigit()
    assert len(row.last.partition(".")[2]) == decimals
