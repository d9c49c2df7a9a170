"""The market day and price ranges."""

from watchlist.prices.day import NO_DAY, Day, PriceRange


def test_a_range_grows_to_contain_a_price():
    assert PriceRange(2.0, 3.0).include(1.0) == PriceRange(1.0, 3.0)
    assert PriceRange(2.0, 3.0).include(4.0) == PriceRange(2.0, 4.0)
    assert PriceRange(2.0, 3.0).include(2.5) == PriceRange(2.0, 3.0)


def test_joined_ranges_contain_all_prices_of_both():
    assert PriceRange(2.0, 3.0).join(PriceRange(1.0, 2.5)) == PriceRange(1.0, 3.0)
    assert PriceRange(2.0, 3.0).join(None) == PriceRange(2.0, 3.0)


def test_the_share_of_a_price_is_its_place_between_low_and_high():
    assert [PriceRange(2.0, 4.0).share(price) for price in (2.0, 3.0, 4.0)] == [0.0, 0.5, 1.0]
    assert PriceRange(2.0, 2.0).share(2.0) == 0.5


def test_a_day_has_a_range_if_low_and_high_are_known():
    assert Day(high=3.0, low=2.0).range == PriceRange(2.0, 3.0)
    assert Day(high=3.0).range is None
    assert NO_DAY.range is None
