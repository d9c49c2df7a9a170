"""The layout of the page at different widths."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.page import PHONE, cell, horizontal_edges, submit_new_list
from tests.support.browser.site import Site

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [360, 768, 1360])
def test_the_add_form_the_tabs_and_the_table_have_the_same_edges(open_page: Callable[..., Page], width: int):
    page = open_page(viewport={"width": width, "height": 800})
    left, right = horizontal_edges(page, "#board > .card >> nth=-1")
    assert horizontal_edges(page, "#tabs nav a >> nth=0")[0] == left
    assert horizontal_edges(page, "#add")[1] == right
    if width == 360:
        assert horizontal_edges(page, "#symbol")[0] == left
        assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("path", ["/", "/s/AAPL"])
def test_symbols_and_names_have_enough_room_at_any_width(open_page: Callable[..., Page], path: str):
    page = open_page(path)
    for width in (721, 800, 860, 999, 1000, 1060, 1100, 1160, 1180, 1240, 1300):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.querySelector('#quotes tbody th').offsetWidth") >= 110, width


@pytest.mark.parametrize("width", [320, 360, 720, 721, 900])
def test_the_page_never_scrolls_horizontally(site: Site, open_page: Callable[..., Page], width: int):
    site.publish("BTC/USD", 1_234_567.8, age=90)
    site.publish("EURUSD=X", 1.04182)
    page = open_page(**PHONE | {"viewport": {"width": width, "height": 780}})
    expect(cell(page, "BTC/USD", "age")).to_contain_text("stale")
    expect(page.locator("#status")).not_to_have_attribute("data-state", "still")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for name in ("Coins", "Semiconductors", "Energy", "W" * 40):
        submit_new_list(page, name)
        expect(page.locator("#tabs [aria-current]")).to_contain_text(name)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for path in ("/sign-in/", "/sign-up/"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") == width
