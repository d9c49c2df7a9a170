import re

from hypothesis import given
from hypothesis import strategies as st

from watchlist.page.sparkline import HEIGHT, MARGIN, WIDTH, draw_line, write_path

prices = st.lists(st.floats(min_value=1e-6, max_value=1e9), min_size=2, max_size=60)


def test_a_line_runs_from_edge_to_edge_between_its_extremes():
    assert write_path([1.0, 3.0, 2.0]) == "M0 24L52 2L104 13"


def test_a_flat_line_runs_through_the_middle():
    assert write_path([5.0, 5.0]) == "M0 13L104 13"


def test_the_reference_is_drawn_only_where_it_lies_within():
    assert '<path class="level" d="M0 13H104"/>' in draw_line([1.0, 3.0], 2.0, "up")
    assert "level" not in draw_line([1.0, 3.0], 4.0, "up")


def test_one_point_is_no_line():
    assert draw_line([1.0], 1.0, "up") == ""
    assert draw_line([], 1.0, "up") == ""


@given(prices)
def test_every_point_lies_within_the_picture(values):
    points = re.findall(r"[ML]([\d.]+) ([\d.]+)", write_path(values))
    assert len(points) == len(values)
    assert all(0 <= float(x) <= WIDTH and MARGIN <= float(y) <= HEIGHT - MARGIN for x, y in points)
