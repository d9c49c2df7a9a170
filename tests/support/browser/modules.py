"""Runs modules of the page in the browser, without the page around them."""

from typing import Any

from playwright.sync_api import Page


def run_module(page: Page, module: str, body: str, argument: Any = None) -> Any:
    """Runs the body of a function in the page. `module` is the imported module, `given` the argument."""
    source = f"async (given) => {{ const module = await import('/static/watchlist/{module}.js'); {body} }}"
    return page.evaluate(source, argument)
