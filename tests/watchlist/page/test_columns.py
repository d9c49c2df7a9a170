import pytest

from feeds.wire import Update
from tests.support.watchlist.rows import NOW, STALE_AFTER, TickerStub, row_of
from watchlist.page.columns import (
    COLUMNS,
    DEFAULT_KEYS,
    SORTABLE_COLUMNS,
    change_keys,
    choose_number_width,
    list_choices,
    make_cells,
    pick_columns,
    row_data,
    write_age,
)
from watchlist.page.rows import Row, make_row
from watchlist.prices.day import Day, PriceRange


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
        "bid": "–",
        "ask": "–",
        "volume": "–",
        "day-range": "–",
        "year-range": "–",
        "open": "–",
        "high": "–",
        "low": "–",
        "age": '<time datetime="2026-11-22T16:02:06.000Z">stale 16:02:06 UTC</time>',
    }


def test_sort_values_are_numbers_or_none():
    values = {key: column.sort_value(row_of(110.0)) for key, column in SORTABLE_COLUMNS.items()}
    assert round(values.pop("percent"), 9) == 10.0
    timestamp = int(NOW.timestamp() * 1_000_000)
    unknown = dict.fromkeys(("bid", "ask", "volume", "day-range", "year-range", "open", "high", "low"))
    assert values == {"symbol": "AAPL", "last": 110.0, "change": 10.0, "age": -timestamp} | unknown


def make_full_row(age: float = 0.0) -> Row:
    """Returns a row with all that a row can show."""
    timestamp = int((NOW.timestamp() - age) * 1_000_000)
    update = Update("AAPL", 102.0, timestamp, 7, 1.0, 101.9, 102.1)
    day = Day(100.0, 104.0, 100.0, 99.0, volume=1_234_500_000_000)
    return make_row(TickerStub(), update, NOW, STALE_AFTER, day, year=PriceRange(50.0, 110.0))


def test_bid_ask_volume_and_ranges_have_cells():
    contents = {cell.css_classes: str(cell.content) for cell in make_cells(make_full_row())}
    assert [contents[key] for key in ("bid", "ask", "volume")] == ["101.90", "102.10", "12,345"]
    assert contents["day-range"].endswith("<span>100.00</span> <span>104.00</span></span>")
    assert 'class="mark" d="M50 0V8"' in contents["day-range"]
    assert contents["year-range"].endswith("<span>50.00</span> <span>110.00</span></span>")
    assert 'class="mark" d="M87 0V8"' in contents["year-range"]


def test_a_price_has_its_currency_if_the_row_names_it():
    row = make_row(TickerStub(), Update("AAPL", 1.0, 10**15, 1), NOW, STALE_AFTER, currency="<i>")
    assert make_cells(row)[1].content == '1.00<small class="currency"> &lt;i&gt;</small>'


@pytest.mark.parametrize(
    ("state", "age", "text"),
    [
        ("", 0, "16:02:12 UTC"),
        ("", 6, "stale 16:02:06 UTC"),
        ("closed", 0, "Closed"),
        ("halted", 0, "Halted"),
        ("closed", 6, "stale 16:02:06 UTC"),
        ("unknown", 0, "Unknown"),
        ("unknown", 6, "Unknown"),
        ("nonsense", 0, "16:02:12 UTC"),
    ],
)
def test_the_age_of_a_symbol_that_is_not_traded_is_a_word_unless_the_price_is_stale(state: str, age: int, text: str):
    update = Update("AAPL", 1.0, int((NOW.timestamp() - age) * 1_000_000), 1)
    assert write_age(make_row(TickerStub(), update, NOW, STALE_AFTER, symbol_state=state)) == text


def test_a_symbol_that_its_source_does_not_know_is_grey_even_without_a_price():
    row = make_row(TickerStub(), None, NOW, STALE_AFTER, symbol_state="unknown")
    assert (row.css_classes, write_age(row)) == ("stale no-price", "Unknown")


def test_bid_and_ask_are_marked_as_old_after_ten_seconds():
    def classes(age: float) -> list[str]:
        return [cell.css_classes for cell in make_cells(make_full_row(age)) if cell.css_classes[:3] in {"bid", "ask"}]

    assert classes(10) == ["bid", "ask"]
    assert classes(11) == ["bid old", "ask old"]


def test_ranges_sort_by_the_place_of_the_price():
    row = make_full_row()
    assert SORTABLE_COLUMNS["day-range"].sort_value(row) == 0.5
    assert round(SORTABLE_COLUMNS["year-range"].sort_value(row), 3) == 0.867
    assert SORTABLE_COLUMNS["volume"].sort_value(row) == 1_234_500_000_000


def test_data_for_scripts_includes_bid_ask_volume_and_the_52_week_range():
    data = row_data(make_full_row())
    shown = {name: data[name] for name in ("bid", "ask", "volume", "year-low", "year-high")}
    assert list(shown.values()) == ["101.9", "102.1", "1234500000000", "50.0", "110.0"]


def keys_of(chosen: tuple[str, ...]) -> list[str]:
    return [column.key for column in pick_columns(chosen)]


def test_a_list_without_chosen_columns_has_the_default_columns():
    assert keys_of(()) == list(DEFAULT_KEYS)
    assert keys_of(("nonsense", "symbol")) == list(DEFAULT_KEYS)


def test_chosen_columns_follow_the_symbol_in_their_order():
    assert keys_of(("age", "bid", "last")) == ["symbol", "age", "bid", "last"]


def test_the_age_is_always_shown_and_unknown_or_repeated_keys_are_skipped():
    assert keys_of(("last", "nonsense", "last", "symbol")) == ["symbol", "last", "age"]


@pytest.mark.parametrize(
    ("action", "key", "keys"),
    [
        ("show", "bid", ("last", "percent", "bid", "age")),
        ("show", "last", ("last", "percent", "age")),
        ("show", "symbol", ("last", "percent", "age")),
        ("show", "nonsense", ("last", "percent", "age")),
        ("hide", "last", ("percent", "age")),
        ("hide", "age", ("last", "percent", "age")),
        ("hide", "bid", ("last", "percent", "age")),
        ("up", "percent", ("percent", "last", "age")),
        ("up", "last", ("last", "percent", "age")),
        ("down", "last", ("percent", "last", "age")),
        ("down", "age", ("last", "percent", "age")),
        ("down", "bid", ("last", "percent", "age")),
        ("nonsense", "last", ("last", "percent", "age")),
        ("default", "1", ()),
    ],
)
def test_a_change_of_columns_has_the_named_effect_or_none(action: str, key: str, keys: tuple[str, ...]):
    assert change_keys(("last", "percent", "age"), action, key) == keys


def test_a_shown_column_comes_last_if_the_age_was_moved():
    assert change_keys(("age", "last"), "show", "bid") == ("age", "last", "bid")


def test_the_last_column_can_be_hidden_and_leaves_the_age():
    assert change_keys(("last", "age"), "hide", "last") == ("age",)
    assert keys_of(("age",)) == ["symbol", "age"]


def test_columns_that_equal_the_default_columns_count_as_not_chosen():
    without_volume = change_keys((), "hide", "volume")
    assert "volume" not in without_volume
    assert change_keys(change_keys((), "down", "last"), "up", "last") == ()


def test_the_menu_offers_the_shown_columns_first_and_never_the_symbol():
    choices = list_choices(pick_columns(("last", "age")))
    assert [choice.column.key for choice in choices[:3]] == ["last", "age", "spark"]
    assert len(choices) == len(COLUMNS) - 1
    assert [(choice.is_shown, choice.can_change) for choice in choices[:3]] == [
        (True, True),
        (True, False),
        (False, True),
    ]


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
