"""Finds violations of accessibility rules on a page, with axe-core."""

from playwright.sync_api import Page

from tests.support.browser.site import ROOT

AXE = ROOT.joinpath("tests/browser/vendored/axe.min.js").read_text()


def violations_on(page: Page) -> list[str]:
    page.evaluate(AXE)
    violations = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    return [f"{each['id']}: {node['html'][:160]}" for each in violations for node in each["nodes"]]
