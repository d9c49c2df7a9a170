import pytest

from tests.support.watchlist.rows import NOW, STALE_AFTER, TickerStub, row_of
from watchlist.page.columns import COLUMNS, SORTABLE_COLUMNS, choose_number_width, make_cells, row_data
from watchlist.page.rows import make_row
from watchlist.prices.day import Day


def test_a_row_has_a_cell_for_every_column_except_the_symbol():
    cells = make_cells(row_of(102.5))
    assert [cell.css_classes.split()[0] for cell in cells] == [column.key for column in COLUMNS[1:]]


def test_cells_hold_text_or_html():
    contents = {cell.css_classes: str(cell.content) for cell in make_cells(row_of(102.5, age=6))}
    assert contents == {
        "spark": "",
        "last": "102.50",
        "change up": '<span class="arrow" aria-hidden="true">▲</span><span class="value">+2.50</span>',
        "percent up": "+2.50%",
        "open": "–",
        "high": "–",
        "low": "–",
        "age": '<time datetime="2026-11-22T16:02:06.000Z">stale 16:02:06 UTC</time>',
    }


def test_sort_values_are_numbers_or_none():
    values = {key: column.sort_value(row_of(110.0)) for key, column in SORTABLE_COLUMNS.items()}
    assert round(values.pop("percent"), 9) == 10.0
    timestamp = int(NOW.timestamp() * 1_000_000)
    unknown = {"open": None, "high": None, "low": None}
    assert values == {"symbol": "AAPL", "last": 110.0, "change": 10.0, "age": -timestamp} | unknown


def test_data_for_scripts_is_exact():
    assert row_data(row_of(226.84, base_price=224.1)) == {
        "base": "224.1",
        "decimals": "2",
        "price": "226.84",
        "timestamp": str(int(NOW.timestamp() * 1_000_000)),
        "seq": "7",
    }


def test_data_for_scripts_includes_the_day():
    row = make_row(TickerStub(), None, NOW, STALE_AFTER, Day(1.5, 3.0, 1.0, 2.0))
    day = {"close": "2.0", "open": "1.5", "high": "3.0", "low": "1.0"}
    assert row_data(row) == {"base": "100.0", "decimals": "2"} | day


@pytest.mark.parametrize(
    ("prices", "width"),
    [
        ([], ""),
        ([(98_234.5, 2)], ""),
        ([(0.03598765, 8)], "long"),
        ([(5.0, 2), (1_734_567_890.0, 0)], "longer"),
        ([(1_734_567_890.0, 2)], "longest"),
    ],
)
def test_a_table_has_room_for_its_longest_price(prices: list[tuple[float, int]], width: str):
    assert choose_number_width([row_of(price, decimals=decimals) for price, decimals in prices]) == width


def test_a_row_without_a_price_needs_room_for_its_base_price():
    row = make_row(TickerStub(base_price=1_650_000_000.0, decimals=0), None, NOW, STALE_AFTER)
    assert choose_number_width([row]) == "longer"
