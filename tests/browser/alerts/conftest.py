"""Pages of a signed-in person. The alerts of each test are deleted."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.support.browser.alerts import delete_alerts
from tests.support.browser.page import sign_in
from tests.support.browser.site import Site


@pytest.fixture
def alerted_site(site: Site) -> Iterator[Site]:
    yield site
    delete_alerts(site)


@pytest.fixture
def open_signed_in(alerted_site: Site, open_page: Callable[..., Page]) -> Callable[..., Page]:
    """Opens a page in a new browser context, signs in, and shows the page."""

    def open_signed_in(path: str = "/", **options) -> Page:
        page = open_page("/sign-in/", **options)
        sign_in(page)
        if path != "/":
            page.goto(path)
        return page

    return open_signed_in


@pytest.fixture
def open_tab(browser_errors: list[str]) -> Callable[[BrowserContext], Page]:
    """Opens one more tab in a browser context."""

    def open_tab(context: BrowserContext, path: str = "/") -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: browser_errors.append(str(error)))
        page.goto(path)
        return page

    return open_tab
