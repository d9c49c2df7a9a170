import re

from watchlist.page.svg.past_chart import MAX_PIECES, draw_past


def paths_of(svg: str) -> list[str]:
    return re.findall(r' d="(.*?)"', svg)


def test_prices_level_and_marks_are_placed_in_the_picture():
    svg = draw_past([(0, 10.0), (60, 20.0)], [(0, 15.0), (60, 15.0)], [(60, 20.0)], 'a "label"')
    assert paths_of(svg) == ["M8.0 80.0L592.0 80.0", "M8.0 152.0L592.0 8.0"]
    assert '<circle cx="592.0" cy="8.0" r="4"/>' in svg
    assert 'aria-label="a &quot;label&quot;"' in svg


def test_one_price_or_equal_prices_make_a_picture():
    assert paths_of(draw_past([(5, 1.0)], [(5, 1.0)], [], "")) == ["M8.0 8.0", "M8.0 8.0"]


def test_a_level_keeps_only_its_corners():
    levels = [(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0), (4, 2.0), (5, 2.0), (6, 2.0)]
    [level, _] = paths_of(draw_past(levels, levels, [], ""))
    assert level.count("L") == 3


def test_a_long_line_keeps_its_lowest_and_highest_prices():
    prices = [(float(at), 100.0 + (at == 5_000) * 50 - (at == 5_001) * 50) for at in range(10_000)]
    [_, line] = paths_of(draw_past(prices, [(0.0, 100.0)], [], ""))
    assert line.count("L") <= 2 * MAX_PIECES
    assert " 8.0L" in line
    assert " 152.0L" in line


def test_a_picture_needs_no_level():
    assert len(paths_of(draw_past([(0, 1.0), (1, 2.0)], [], [], ""))) == 1


def test_many_marks_are_drawn_as_one_for_each_pixel():
    prices = [(float(at), 1.0) for at in range(10_000)]
    assert draw_past(prices, [], prices, "").count("<circle") == 585
