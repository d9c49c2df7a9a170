"""Runs modules of the page in the browser, without the rest of the page."""

from typing import Any

from playwright.sync_api import Page


def run_module(page: Page, module: str, body: str, argument: Any = None) -> Any:
    """Runs JavaScript in the page and returns its result.

    `body` is the body of a function. In the body, `module` is the imported module and `given` is the argument.
    """
    source = f"async (given) => {{ const module = await import('/static/watchlist/{module}.js'); {body} }}"
    return page.evaluate(source, argument)
