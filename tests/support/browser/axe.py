"""Finds violations of accessibility rules on a page, with axe-core."""

from playwright.sync_api import Page

from tests.support.browser.site import ROOT

AXE = ROOT.joinpath("tests/browser/vendored/axe.min.js").read_text()


def violations_on(page: Page) -> list[str]:
    """Waits until the page and its styles are loaded. Returns each violation as its rule and the element's HTML."""
    page.wait_for_load_state()
    page.evaluate(AXE)
    violations = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    return [f"{each['id']}: {node['html'][:160]}" for each in violations for node in each["nodes"]]
