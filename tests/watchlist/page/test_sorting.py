import pytest

from tests.support.rows import NOW, STALE_AFTER, row_of
from watchlist.page.rows import make_row
from watchlist.page.sorting import COLUMNS, Sort, headings, read_sort


@pytest.mark.parametrize("text", ["", "-", "nonsense", "--last", "LAST"])
def test_what_is_no_column_is_no_sort(text):
    assert read_sort(text) == Sort()


@pytest.mark.parametrize("column", COLUMNS)
def test_the_address_says_what_was_read(column):
    assert str(read_sort(column)) == column
    assert str(read_sort("-" + column)) == "-" + column


def test_rows_without_a_value_come_last_either_way():
    rows = [row_of(2.0), row_of(3.0), row_of(1.0)]
    bare = make_row(rows[0].ticker, None, NOW, STALE_AFTER)
    assert [row.last for row in read_sort("last").arrange([bare, *rows])] == ["1.00", "2.00", "3.00", "–"]
    assert [row.last for row in read_sort("-last").arrange([bare, *rows])] == ["3.00", "2.00", "1.00", "–"]
    assert read_sort("").arrange(rows) == rows


def test_the_third_press_goes_back_to_the_persons_own_order():
    pressed = []
    sort = Sort()
    for _ in range(3):
        sort = read_sort(headings(sort)["percent"].leads_to)
        pressed.append((str(sort), headings(sort)["percent"].aria))
    assert pressed == [("-percent", "descending"), ("percent", "ascending"), ("", "none")]


def test_symbols_and_ages_rise_first():
    assert headings(Sort())["symbol"].leads_to == "symbol"
    assert headings(Sort())["age"].leads_to == "age"
