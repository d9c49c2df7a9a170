from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from feeds.models import Ticker
from feeds.wire import Update
from tests.support.rows import NOW, STALE_AFTER, row_of
from watchlist.formatting.moments import write_moment
from watchlist.formatting.numbers import MINUS, NOTHING, side_of, write_number, write_signed
from watchlist.page.rows import make_row


def test_a_price_has_the_tickers_decimals_and_commas_at_thousands():
    assert row_of(98234.5, decimals=1).last == "98,234.5"
    assert row_of(1.0418, decimals=5).last == "1.04180"
    assert row_of(1234567.0, decimals=0).last == "1,234,567"


def test_change_and_percent_are_against_the_base_price():
    row = row_of(102.5)
    assert (row.change, row.percent, row.side, row.arrow) == ("+2.50", "+2.50%", "up", "▲")


def test_a_fall_has_a_minus_sign_and_not_a_hyphen():
    row = row_of(99.0)
    assert (row.change, row.percent, row.side) == (f"{MINUS}1.00", f"{MINUS}1.00%", "down")


def test_a_change_that_rounds_to_zero_has_neither_sign_nor_arrow():
    row = row_of(99.999)
    assert (row.change, row.side, row.arrow) == ("0.00", "flat", "")


def test_a_half_is_rounded_away_from_zero():
    assert write_number(0.125, 2) == "0.13"
    assert write_signed(-0.125, 2) == f"{MINUS}0.13"


def test_a_row_without_a_price_is_empty_and_not_stale():
    row = make_row(Ticker(symbol="AAPL", base_price=1.0, decimals=2), None, NOW, STALE_AFTER)
    assert [row.last, row.change, row.percent, row.as_of] == [NOTHING] * 4
    assert (row.stale, row.classes, row.iso) == (False, "no-price", "")


def test_a_row_is_stale_past_the_limit_and_not_at_it():
    assert not row_of(1.0, age=5).stale
    assert row_of(1.0, age=5.001).stale


def test_a_switched_off_ticker_is_marked():
    assert make_row(Ticker(symbol="AAPL", base_price=1.0), None, NOW, STALE_AFTER, fed=False).classes == "off no-price"


def test_the_time_has_a_zone_and_the_date_only_where_it_is_not_todays():
    assert row_of(1.0, age=1).as_of == "16:02:11 UTC"
    assert row_of(1.0, age=1).iso == "2026-11-22T16:02:11.000Z"
    assert write_moment(NOW - timedelta(days=1), NOW) == "2026-11-21 16:02 UTC"


def test_numbers_for_programs_are_exact():
    assert row_of(226.84, base=224.1).facts == {
        "base": "224.1",
        "decimals": "2",
        "price": "226.84",
        "timestamp": str(int(NOW.timestamp() * 1_000_000)),
        "seq": "7",
    }


@given(
    st.floats(min_value=5e-324, allow_nan=False, allow_infinity=False),
    st.floats(min_value=1e-8, max_value=1e12),
    st.integers(0, 8),
    st.integers(0, 2**53 - 1),
)
def test_any_price_of_the_wire_makes_a_row(price, base, decimals, timestamp):
    ticker = Ticker(symbol="AAPL", base_price=base, decimals=decimals)
    row = make_row(ticker, Update("AAPL", price, timestamp, 1), NOW, STALE_AFTER)
    assert row.side == side_of(row.change)
    assert row.last.replace(",", "").replace(".", "").isdigit()
    assert len(row.last.partition(".")[2]) == decimals
