"""What an open page shows when an alert has fired."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.alerts import fire
from tests.support.browser.axe import violations_on
from tests.support.browser.page import DESKTOP, PHONE, expect_status, row_of
from tests.support.browser.site import Site
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser

COUNT_SIGNALS = """
    window.tones = 0;
    window.notes = [];
    const { createOscillator } = BaseAudioContext.prototype;
    BaseAudioContext.prototype.createOscillator = function () {
        window.tones += 1;
        return createOscillator.call(this);
    };
    window.Notification = class {
        static permission = "default";
        static async requestPermission() {
            window.asked = (window.asked ?? 0) + 1;
            return (this.permission = "granted");
        }
        constructor(title, { body }) {
            window.notes.push([title, body]);
        }
    };
"""
"""Counts tones and notifications, which tests cannot hear and see. The person allows notifications when asked."""
ALLOWED = COUNT_SIGNALS.replace('"default"', '"granted"')
TONES_PER_SOUND = 2


def panel_of(page: Page):
    return page.get_by_role("region", name="Alerts that have fired")


def expect_title(page: Page, beginning: str) -> None:
    expect(page).to_have_title(re.compile(f"^{re.escape(beginning)}"))


def test_a_firing_appears_on_an_open_page_and_in_its_title(alerted_site: Site, open_signed_in: Callable[..., Page]):
    page = open_signed_in(**DESKTOP)
    expect_title(page, "Main · ")
    fire(alerted_site, ("AAPL", 230.0), note="sell half")
    panel = panel_of(page)
    expect(panel.get_by_role("listitem")).to_contain_text("AAPL at or above 230.00")
    expect(panel.get_by_role("listitem")).to_contain_text("230.10")
    expect(panel.get_by_role("listitem")).to_contain_text("sell half")
    expect(page.locator("#announcer")).to_contain_text("Alert: AAPL at or above 230.00, now 230.10")
    expect_title(page, "(1) Main · ")
    row_of(page, "MSFT").get_by_role("link").click()
    expect_title(page, "(1) MSFT ")
    assert violations_on(page) == []
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_be_hidden()
    expect_title(page, "MSFT ")


def test_other_pages_show_nothing(alerted_site: Site, open_signed_in: Callable[..., Page], open_page):
    visitor, page = open_page(), open_signed_in()
    expect_status(visitor, "stale", "No prices yet")
    fire(alerted_site, ("AAPL", 230.0))
    expect(panel_of(page)).to_be_visible()
    assert visitor.locator("#fired-alerts").count() == 0
    assert not visitor.evaluate("performance.getEntriesByType('resource').some(each => /alerts/.test(each.name))")


def test_a_firing_that_was_missed_is_shown_until_it_was_seen(alerted_site: Site, open_signed_in: Callable[..., Page]):
    fire(alerted_site, ("AAPL", 230.0), ("MSFT", 500.0))
    page = open_signed_in()
    expect_title(page, "(2) ")
    page.reload()
    expect(panel_of(page).get_by_role("listitem")).to_have_count(2)
    expect_title(page, "(2) ")
    panel_of(page).get_by_role("button", name="Close").click()
    page.reload()
    fire(alerted_site, ("GOOG", 7.0))
    expect(panel_of(page).get_by_role("listitem")).to_have_count(1)
    expect(panel_of(page).get_by_role("listitem")).to_contain_text("GOOG")


def test_the_list_is_used_with_the_keyboard_alone(alerted_site: Site, open_signed_in: Callable[..., Page]):
    page = open_signed_in()
    row_of(page, "MSFT").get_by_role("link").focus()
    fire(alerted_site, ("AAPL", 230.0))
    expect(panel_of(page)).to_be_visible()
    expect(row_of(page, "MSFT").get_by_role("link")).to_be_focused()
    close = panel_of(page).get_by_role("button", name="Close")
    for _ in range(60):
        page.keyboard.press("Shift+Tab")
        if close.evaluate("button => button === document.activeElement"):
            break
    expect(close).to_be_focused()
    page.keyboard.press("Escape")
    expect(panel_of(page)).to_be_hidden()
    expect_title(page, "Main · ")
    assert page.evaluate("document.activeElement !== document.body")


def test_many_firings_are_told_once_and_shown_in_part(alerted_site: Site, open_signed_in: Callable[..., Page]):
    page = open_signed_in(**PHONE)
    expect_status(page, "stale", "No prices yet")
    fire(alerted_site, *[("AAPL", 200.0 + number) for number in range(12)])
    expect_title(page, "(10) ")
    expect(panel_of(page).get_by_role("listitem").last).to_have_text("5 more, see the history")
    expect(panel_of(page).get_by_role("listitem").first).to_contain_text("at or above 211.00")
    assert violations_on(page) == []
    panel_of(page).get_by_role("button", name="Close").click()
    expect(panel_of(page)).to_be_hidden()


def test_two_tabs_make_one_sound_and_one_notification(
    alerted_site: Site, open_signed_in: Callable[..., Page], open_tab
):
    page = open_signed_in()
    page.context.add_init_script(ALLOWED)
    tabs = [open_tab(page.context), open_tab(page.context)]
    page.close()
    fire(alerted_site, ("AAPL", 230.0))
    for tab in tabs:  # both have told the firing, so that the sound is only for the next one
        expect(tab.locator("#announcer")).to_contain_text("AAPL")
    expect(panel_of(tabs[0])).to_be_visible()
    panel_of(tabs[0]).get_by_label("Sound").check()
    panel_of(tabs[0]).get_by_label("Browser notification").check()
    expect(panel_of(tabs[1]).get_by_label("Sound")).to_be_checked()
    for tab in tabs:
        tab.locator("h1, #tabs").first.click(force=True, position={"x": 1, "y": 1})
        tab.evaluate("window.tones = 0")
    fire(alerted_site, ("MSFT", 500.0))
    for tab in tabs:
        expect(panel_of(tab).get_by_role("listitem")).to_have_count(2)

    def count(what: str) -> int:
        return sum(tab.evaluate(f"window.{what}") for tab in tabs)

    wait_until(lambda: count("notes.length") == 1 and count("tones") == TONES_PER_SOUND)
    fire(alerted_site, ("GOOG", 7.0))
    wait_until(lambda: count("notes.length") == 2 and count("tones") == 2 * TONES_PER_SOUND)
    assert {title for tab in tabs for title, _ in tab.evaluate("window.notes")} == {
        "MSFT at or above 500.00",
        "GOOG at or above 7.00",
    }
    panel_of(tabs[0]).get_by_role("button", name="Close").click()
    expect(panel_of(tabs[1])).to_be_hidden()
    expect_title(tabs[1], "Main · ")


def test_permission_is_asked_only_when_the_person_switches_notifications_on(
    alerted_site: Site, open_signed_in: Callable[..., Page]
):
    page = open_signed_in()
    page.context.add_init_script(COUNT_SIGNALS)
    page.reload()
    fire(alerted_site, ("AAPL", 230.0))
    option = panel_of(page).get_by_label("Browser notification")
    expect(option).not_to_be_checked()
    expect(panel_of(page).get_by_label("Sound")).not_to_be_checked()
    assert page.evaluate("[window.asked, window.tones, window.notes.length]") == [None, 0, 0]
    option.check()
    wait_until(lambda: page.evaluate("window.asked") == 1)
    expect(option).to_be_checked()


def test_a_page_that_may_not_notify_says_so(alerted_site: Site, open_signed_in: Callable[..., Page]):
    page = open_signed_in()
    page.context.add_init_script(COUNT_SIGNALS.replace('"granted"', '"denied"'))
    page.reload()
    fire(alerted_site, ("AAPL", 230.0))
    option = panel_of(page).get_by_label("Browser notification")
    option.click()
    expect(page.locator("#announcer")).to_contain_text("does not allow notifications")
    expect(option).not_to_be_checked()
