import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.support.browser.chromium import NoBrowser, launch_browser
from tests.support.browser.site import Site

expect.set_options(timeout=60_000)  # a busy machine is slow


# Package scope: Playwright's event loop must end before other tests start one.
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
    with Site() as site:
        yield site


@pytest.fixture
def site(running_site: Site) -> Site:
    running_site.clear_redis()
    return running_site


@pytest.fixture
def browser_errors() -> list[str]:
    """Console errors and warnings, violations of the content security policy, and script errors of all pages."""
    return []


def is_error(line: ConsoleMessage) -> bool:
    """Returns whether a line of the browser's console reports an error of a page."""
    # A page that a test leaves at once has a socket that is still being opened.
    is_left = "WebSocket is closed before the connection is established" in line.text
    return line.type in {"error", "warning"} and not is_left


@pytest.fixture
def open_page(browser: Browser, site: Site, browser_errors: list[str]) -> Iterator[Callable[..., Page]]:
    """Opens a page of the site in a new browser context. At the end no page may have reported an error."""
    contexts = []

    def open_page(path: str = "/", **options) -> Page:
        context = browser.new_context(base_url=site.address, **options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda line: browser_errors.append(line.text) if is_error(line) else None)
        page.on("pageerror", lambda error: browser_errors.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert browser_errors == []


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    return open_page()


@pytest.fixture
def blank_page(open_page: Callable[..., Page]) -> Page:
    """A page without scripts of its own, whose clock stands still until a test moves it."""
    page = open_page("/livez")
    page.clock.install(time=0)
    page.goto("/sign-in/")
    page.clock.pause_at(60_000)
    return page
