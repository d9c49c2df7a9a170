"""Runs modules of the page in the browser, without the page around them."""

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

CASES = Path(__file__).parents[2] / "cases"


def run_module(page: Page, module: str, body: str, argument: Any = None) -> Any:
    """Runs the body of a function in the page. `module` is the imported module, `given` the argument."""
    source = f"async (given) => {{ const module = await import('/static/watchlist/{module}.js'); {body} }}"
    return page.evaluate(source, argument)


def read_cases(name: str) -> list[dict[str, Any]]:
    """The table of a rule that Python and JavaScript share, from tests/cases/."""
    cases: list[dict[str, Any]] = json.loads((CASES / f"{name}.json").read_text())
    return cases
