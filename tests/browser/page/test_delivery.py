import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.axe import violations_on
from tests.support.browser.page import DESKTOP, PHONE, fits_window, sign_in


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("options", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_of_deliveries_has_no_violations(open_page: Callable[..., Page], theme: str, options: dict):
    page = open_page(color_scheme=theme, **options)
    sign_in(page)
    page.goto("/settings/delivery/")
    page.get_by_label("URL").fill("https://hooks.example.org/alerts")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Secret", exact=True)).to_have_value(re.compile("whsec_.{44}"))
    assert violations_on(page) == []
    page.get_by_role("button", name="Send a test to the webhook").click()
    expect(page.get_by_text("A test message is on its way.")).to_be_visible()
    assert violations_on(page) == []
    assert fits_window(page)
    page.get_by_role("button", name="Remove the webhook").click()
    expect(page.get_by_text("The webhook was removed.")).to_be_visible()


def test_a_url_that_is_refused_is_explained_accessibly(open_page: Callable[..., Page], browser_errors: list[str]):
    page = open_page()
    sign_in(page)
    page.goto("/settings/delivery/")
    page.get_by_label("URL").fill("http://127.0.0.1/")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("127.0.0.1 is not a public address.")).to_be_visible()
    assert violations_on(page) == []
    browser_errors[:] = [text for text in browser_errors if "422" not in text]
