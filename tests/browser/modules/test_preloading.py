"""The list of modules that the page preloads."""

import pytest
from playwright.sync_api import Page

from tests.support.browser.page import expect_status
from watchlist.page.context import MODULES

pytestmark = pytest.mark.browser

LOADED = "performance.getEntriesByType('resource').map(each => new URL(each.name).pathname)"


def test_the_page_preloads_every_module_that_it_loads(page: Page):
    expect_status(page, "stale", "No prices yet")
    loaded = {path for path in page.evaluate(LOADED) if path.startswith("/static/watchlist/") and path.endswith(".js")}
    assert loaded == {"/static/watchlist/main.js", *(f"/static/{name}" for name in MODULES)}
