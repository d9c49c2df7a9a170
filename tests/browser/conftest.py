import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.browser.chromium import NoBrowser, launch_browser
from tests.support.browser.site import Site

expect.set_options(timeout=30_000)  # a busy machine is slow, and no fault of the page


# Package scope: Playwright's event loop must be gone before tests elsewhere run one of their own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        try:
            browser = launch_browser(playwright)
        except NoBrowser as reason:
            if os.environ.get("CI"):
                pytest.fail(str(reason))
            pytest.skip(str(reason))
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def running_site() -> Iterator[Site]:
    site = Site()
    try:
        site.start()
        yield site
    finally:
        site.close()


@pytest.fixture
def site(running_site: Site) -> Site:
    running_site.forget_prices()
    return running_site


@pytest.fixture
def complaints() -> list[str]:
    """What browsers complained about: console errors, violations of the content security policy, script errors."""
    return []


@pytest.fixture
def open_page(browser: Browser, site: Site, complaints: list[str]) -> Iterator[Callable[..., Page]]:
    """Opens a page of the site in a browser context of its own; at the end no page may have complained."""
    contexts = []

    def open_page(path: str = "/", **options) -> Page:
        context = browser.new_context(base_url=site.address, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    return open_page()
