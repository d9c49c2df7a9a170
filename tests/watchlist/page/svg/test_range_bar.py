"""The bar of a price range."""

import pytest

from watchlist.formatting.numbers import NO_VALUE
from watchlist.page.svg.range_bar import draw_range, place_mark
from watchlist.prices.day import PriceRange


@pytest.mark.parametrize(("price", "place"), [(10.0, "0"), (15.0, "50"), (20.0, "100"), (10.05, "1"), (10.04, "0")])
def test_the_mark_is_at_the_share_of_the_price(price: float, place: str):
    assert place_mark(PriceRange(10.0, 20.0), price) == place


def test_a_bar_has_a_mark_and_the_texts_of_both_ends():
    bar = draw_range(PriceRange(10.0, 20.0), 15.0, "10.00", "20.00")
    assert 'd="M50 0V8"' in bar
    assert bar.endswith('<span class="ends"><span>10.00</span> <span>20.00</span></span>')


def test_a_range_without_a_price_has_no_mark():
    assert 'class="mark" d=""' in draw_range(PriceRange(10.0, 20.0), None, "10.00", "20.00")


def test_an_unknown_range_is_a_dash():
    assert draw_range(None, 15.0, "–", "–") == NO_VALUE
