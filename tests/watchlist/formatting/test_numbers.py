import pytest

from tests.support.cases import read_cases
from watchlist.formatting.numbers import NO_VALUE, side_of, write_number, write_percent, write_signed, write_volume
from watchlist.formatting.numerals import MINUS, PLAIN


@pytest.mark.parametrize("case", read_cases("numbers"))
def test_numbers_are_those_of_the_shared_cases(case):
    value, decimals = case["value"], case["decimals"]
    assert write_number(value, decimals) == case["plain"]
    assert write_signed(value, decimals) == case["signed"]


@pytest.mark.parametrize("case", read_cases("volumes"))
def test_volumes_are_those_of_the_shared_cases(case):
    assert write_volume(case["units"]) == case["text"]


def test_a_half_is_rounded_away_from_zero():
    assert write_number(0.125, 2) == "0.13"
    assert write_signed(-0.125, 2) == f"{MINUS}0.13"


def test_negative_zero_has_no_sign():
    assert write_number(-0.0, 2) == "0.00"
    assert write_signed(-0.0, 2) == "0.00"


def test_numbers_for_programs_have_no_groups_and_ascii_signs():
    assert write_number(98234.5, 2, PLAIN) == "98234.50"
    assert write_signed(-98234.5, 2, PLAIN) == "-98234.50"
    assert write_percent(1234.5, PLAIN) == "+1234.50%"


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_a_value_that_is_not_finite_is_a_dash(value):
    assert [write_number(value, 2), write_signed(value, 2), write_percent(value)] == [NO_VALUE] * 3


@pytest.mark.parametrize(("value", "side"), [(1.0, "up"), (-1.0, "down"), (-0.001, "flat"), (float("inf"), "flat")])
def test_the_side_follows_the_written_sign(value, side):
    assert side_of(write_signed(value, 2)) == side
    assert side_of(write_signed(value, 2, PLAIN), PLAIN) == side
