import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cases import read_cases
from watchlist.page.svg.sparkline import HEIGHT, MARGIN, WIDTH, draw_line, write_path
from watchlist.prices.day import SPARKLINE_POINTS

prices = st.lists(st.floats(min_value=1e-6, max_value=1e9), min_size=2, max_size=SPARKLINE_POINTS)


@pytest.mark.parametrize("case", read_cases("sparkline"))
def test_the_path_is_that_of_the_shared_cases(case):
    assert write_path(case["values"]) == case["path"]


def test_a_line_spans_the_whole_width_and_height():
    assert write_path([1.0, 3.0, 2.0]) == "M0 24L52 2L104 13"


def test_a_line_without_range_runs_through_the_middle():
    assert write_path([5.0, 5.0]) == "M0 13L104 13"


def test_the_reference_is_drawn_only_within_the_range():
    assert '<path class="level" d="M0 13H104"/>' in draw_line([1.0, 3.0], 2.0, "up")
    assert '<path class="level" d=""/>' in draw_line([1.0, 3.0], 4.0, "up")


def test_a_line_follows_each_change_of_its_values():
    """The texts of older points are kept. They depend on the older values and on the range of all values."""
    for _ in range(2):
        assert write_path([1.0, 3.0, 2.0]) == "M0 24L52 2L104 13"
        assert write_path([1.0, 3.0, 5.0]) == "M0 24L52 13L104 2"
        assert write_path([1.0, 2.0, 5.0]) == "M0 24L52 18.5L104 2"
        assert write_path([1.0, 3.0]) == "M0 24L104 2"
        assert 'data-values="1 3 2"' in draw_line([1.0, 3.0, 2.0], 1.0, "up")
        assert 'data-values="1 3 5"' in draw_line([1.0, 3.0, 5.0], 1.0, "up")


def test_a_line_follows_a_change_in_its_middle():
    """Older points with the same first and last price can differ in between."""
    assert write_path([1.0, 3.0, 2.0, 2.0]) == "M0 24L34.7 2L69.3 13L104 13"
    assert write_path([1.0, 2.0, 2.0, 3.0]) == "M0 24L34.7 13L69.3 13L104 2"
    assert 'data-values="1 2 2 3"' in draw_line([1.0, 2.0, 2.0, 3.0], 1.0, "up")


def test_one_point_makes_no_line():
    assert draw_line([1.0], 1.0, "up") == ""
    assert draw_line([], 1.0, "up") == ""


def test_the_values_are_data_for_scripts():
    assert 'class="up" data-values="1 3.25 98234.51 1.04182"' in draw_line([1.0, 3.25, 98234.51, 1.04182], 1.0, "up")


def test_a_line_has_the_newest_sixty_points():
    svg = draw_line([float(number) for number in range(61)], 0.0, "up")
    [values] = re.findall(r'data-values="([^"]+)"', svg)
    assert values.split() == [str(number) for number in range(1, 61)]
    assert svg.count("L") == 59


@given(prices)
def test_every_point_is_inside_the_picture(values):
    points = re.findall(r"[ML]([\d.]+) ([\d.]+)", write_path(values))
    assert len(points) == len(values)
    assert all(0 <= float(x) <= WIDTH and MARGIN <= float(y) <= HEIGHT - MARGIN for x, y in points)
