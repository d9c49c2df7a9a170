"""The HTML of the table's rows, of the suggestions and of the menu of columns.

The files in `tests/cases/table/` were written by templates of Django.
"""

from html import unescape

import pytest

from stockwatch.settings import BASE_DIR
from tests.support.watchlist.rows import TickerStub, row_of
from tests.support.watchlist.tables import HEADS, HOSTILE, MENUS, STATES, SUGGESTIONS, make_hostile_row, make_state_row
from watchlist.lists.rules import Tab
from watchlist.page.columns import COLUMNS, pick_columns
from watchlist.page.table_html import (
    Suggestion,
    symbol_path,
    write_column_choices,
    write_headings,
    write_rows,
    write_suggestions,
    write_tabs,
)


def read_html(name: str) -> str:
    return (BASE_DIR / "tests" / "cases" / "table" / f"{name}.html").read_text()


@pytest.mark.parametrize("name", STATES)
def test_rows_equal_the_output_of_the_template(name: str):
    state = STATES[name]
    assert write_rows(state.rows, state.columns, state.query, state.can_move) == read_html(name)


@pytest.mark.parametrize("name", MENUS)
def test_the_menu_of_columns_equals_the_output_of_the_template(name: str):
    assert write_column_choices(MENUS[name]) == read_html(name)


@pytest.mark.parametrize("name", HEADS)
def test_the_headings_equal_the_output_of_the_template(name: str):
    headings, key, reference = HEADS[name]
    assert write_headings(headings.values(), "/", key, reference) == read_html(name)


def test_each_list_has_a_link_and_the_shown_one_is_marked():
    html = write_tabs([Tab(3, "Main", 12, 7), Tab(0, HOSTILE, 0)], 3, "/")
    first, second = html.removesuffix("</li>").split("</li>")
    assert first == (
        '<li><a href="/?list=3" data-list="3" data-version="7" hx-get="/?list=3" hx-target="#workspace" hx-swap="merge"'
        ' aria-current="page">Main <small>12<span class="hidden"> symbols</span></small></a>'
    )
    assert "aria-current" not in second
    assert HOSTILE not in second
    assert HOSTILE in unescape(second)


def test_the_suggestions_equal_the_output_of_the_template():
    assert write_suggestions([Suggestion(*pair) for pair in SUGGESTIONS]) == read_html("suggestions")


def test_a_hostile_text_stays_text_wherever_it_is_shown():
    html = write_rows([make_hostile_row()], COLUMNS, "", True) + write_suggestions([Suggestion(HOSTILE, HOSTILE)])
    assert "<script" not in html
    assert HOSTILE not in html
    assert unescape(html).count(HOSTILE) >= 10


def test_a_row_is_written_anew_after_each_change_of_what_it_shows():
    columns = pick_columns(())
    for name in ("Apple", "Apple Inc.", "Apple"):
        [text] = [write_rows([make_state_row(TickerStub("AAPL", name))], columns, "", True)]
        assert f'<span class="name">{name}</span>' in text
    for query in ("", "list=3"):
        assert f'href="{symbol_path("AAPL", query)}"' in write_rows([row_of(1.0)], columns, query, True)
    for can_move in (True, False, True):
        assert ('name="top"' in write_rows([row_of(1.0)], columns, "", can_move)) == can_move


def test_the_address_of_a_symbol_keeps_its_slash():
    assert symbol_path("BTC/USD", "list=3") == "/s/BTC/USD?list=3"
    assert symbol_path("^GSPC") == "/s/%5EGSPC"
