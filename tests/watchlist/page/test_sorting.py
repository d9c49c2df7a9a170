import pytest

from tests.support.watchlist.rows import NOW, STALE_AFTER, row_of
from watchlist.page.columns import SORTABLE_COLUMNS
from watchlist.page.rows import make_row
from watchlist.page.sorting import Sort, headings, read_sort


@pytest.mark.parametrize("text", ["", "-", "nonsense", "--last", "LAST", "spark", "-spark"])
def test_an_unknown_column_does_not_sort(text):
    assert read_sort(text) == Sort()


@pytest.mark.parametrize("column", SORTABLE_COLUMNS)
def test_a_sort_is_written_as_it_is_read(column):
    assert str(read_sort(column)) == column
    assert str(read_sort("-" + column)) == "-" + column


def test_rows_without_a_value_come_last_in_both_directions():
    rows = [row_of(2.0), row_of(3.0), row_of(1.0)]
    without_price = make_row(rows[0].ticker, None, NOW, STALE_AFTER)
    assert [row.last for row in read_sort("last").arrange([without_price, *rows])] == ["1.00", "2.00", "3.00", "–"]
    assert [row.last for row in read_sort("-last").arrange([without_price, *rows])] == ["3.00", "2.00", "1.00", "–"]
    assert read_sort("").arrange(rows) == rows


def test_the_third_click_returns_to_the_persons_own_order():
    clicks = []
    sort = Sort()
    for _ in range(3):
        sort = read_sort(headings(sort)["percent"].leads_to)
        clicks.append((str(sort), headings(sort)["percent"].aria))
    assert clicks == [("-percent", "descending"), ("percent", "ascending"), ("", "none")]


def test_symbols_and_ages_sort_ascending_first():
    assert headings(Sort())["symbol"].leads_to == "symbol"
    assert headings(Sort())["age"].leads_to == "age"


def test_a_column_that_cannot_be_sorted_has_no_link():
    heading = headings(Sort())["spark"]
    assert (heading.aria, heading.leads_to) == ("", "")
