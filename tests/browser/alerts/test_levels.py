"""The levels of alerts in the chart."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import APIResponse, Locator, Page, Route, expect

from tests.support.browser.alerts import fire, make_alert
from tests.support.browser.axe import violations_on
from tests.support.browser.market import put_bars
from tests.support.browser.modules import run_module
from tests.support.browser.page import DESKTOP, PHONE, expect_status
from tests.support.browser.site import Site
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser

COUNT_ANSWERS = """() => {
    window.answers = 0;
    const { json } = Response.prototype;
    Response.prototype.json = async function () {
        const values = await json.call(this);
        setTimeout(() => (window.answers += 1));
        return values;
    };
}"""
"""Counts the answers that the page has read."""


def tag_of(page: Page, name: str) -> Locator:
    return page.get_by_role("slider", name=name)


@pytest.fixture
def open_chart(alerted_site: Site, open_signed_in: Callable[..., Page]) -> Callable[..., Page]:
    """Opens the chart of AAPL at a price of 200, with an alert at 200.50."""

    def open_chart(**options) -> Page:
        alerted_site.publish("AAPL", 200.0)
        put_bars(alerted_site.redis, {"AAPL": 200.0})
        make_alert(alerted_site, "AAPL", 200.5, note="sell half")
        page = open_signed_in("/s/AAPL", **(options or DESKTOP))
        expect(tag_of(page, "Alert at or above, sell half")).to_have_text("≥ 200.50 · +0.25%")
        return page

    return open_chart


def stored_levels(page: Page) -> list[float]:
    return page.evaluate(
        "fetch('/alerts/levels/?symbol=AAPL').then(answer => answer.json())"
        ".then(({ alerts }) => alerts.map(({ level }) => level))"
    )


def test_a_level_is_moved_with_the_keyboard_alone(open_chart: Callable[..., Page]):
    page = open_chart()
    tag = tag_of(page, "Alert at or above")
    page.locator("button[data-kind=candles]").focus()
    page.keyboard.press("Tab")
    expect(tag).to_be_focused()
    expect(tag).to_have_attribute("aria-valuenow", "200.5")
    expect(tag).to_have_attribute("aria-valuetext", "200.50, +0.25% from the price")
    page.keyboard.press("ArrowUp")
    expect(tag).to_have_attribute("aria-valuenow", "200.51")
    page.keyboard.press("Shift+ArrowUp")
    expect(tag).to_have_text("≥ 202.52 · +1.26%")
    assert stored_levels(page) == [200.5]
    page.keyboard.press("Enter")
    expect(page.get_by_text("The alert is at 202.52 now.")).to_be_visible()
    expect(tag).to_be_focused()
    assert stored_levels(page) == [202.52]
    assert violations_on(page) == []


def test_escape_undoes_a_move_and_then_closes_the_drawer(open_chart: Callable[..., Page]):
    page = open_chart()
    tag = tag_of(page, "Alert at or above")
    tag.focus()
    page.keyboard.press("ArrowDown")
    expect(tag).to_have_text("≥ 200.49 · +0.25%")
    page.keyboard.press("Escape")
    expect(page.get_by_text("The alert stays at 200.50.")).to_be_visible()
    expect(tag).to_have_text("≥ 200.50 · +0.25%")
    expect(tag).to_be_focused()
    page.keyboard.press("Escape")
    expect(tag).to_have_count(0)
    expect(page.get_by_role("complementary", name="Details").locator("section")).to_have_count(0)


def test_a_move_that_is_not_kept_is_undone_when_the_focus_leaves(open_chart: Callable[..., Page]):
    page = open_chart()
    tag = tag_of(page, "Alert at or above")
    tag.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    expect(tag).to_have_text("≥ 200.50 · +0.25%")
    assert stored_levels(page) == [200.5]


def drag(page: Page, tag: Locator, by: float) -> None:
    box = tag.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + by / 2)
    page.mouse.move(x, y + by)
    page.mouse.up()


def test_a_level_is_dragged_and_the_alert_is_armed_anew(open_chart: Callable[..., Page]):
    page = open_chart()
    tag = tag_of(page, "Alert at or above")
    drag(page, tag, by=150)
    expect(page.get_by_text("It is armed when the price has come back.")).to_be_visible()
    [level] = stored_levels(page)
    assert level < 200.0
    expect(tag).to_have_attribute("aria-valuenow", f"{level:g}")


def test_a_level_that_the_server_does_not_store_goes_back(open_chart: Callable[..., Page], browser_errors: list[str]):
    page = open_chart()
    tag = tag_of(page, "Alert at or above")
    page.route("**/alerts/levels/move/", lambda route: route.abort())
    drag(page, tag, by=60)
    expect(page.get_by_text("The server did not answer. The alert stays at 200.50.")).to_be_visible()
    expect(tag).to_have_text("≥ 200.50 · +0.25%")

    def refuse(route: Route) -> None:
        route.fulfill(status=422, json={"error": "This alert has expired."})

    page.unroute("**/alerts/levels/move/")
    page.route("**/alerts/levels/move/", refuse)
    tag.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This alert has expired. The alert stays at 200.50.")).to_be_visible()
    assert stored_levels(page) == [200.5]
    browser_errors[:] = [text for text in browser_errors if not text.startswith("Failed to load resource")]


def test_an_old_answer_that_comes_late_does_not_move_a_level_back(open_chart: Callable[..., Page]):
    page = open_chart()
    tag = tag_of(page, "Alert at or above")
    page.evaluate(COUNT_ANSWERS)
    held: list[tuple[Route, APIResponse]] = []

    def hold_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append((route, route.fetch()))

    page.route("**/alerts/levels/?*", hold_first)
    page.evaluate("document.dispatchEvent(new Event('alertfired'))")
    wait_until(lambda: page.evaluate("1") and held)  # the route is called while Playwright waits for an answer
    tag.focus()
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Enter")
    wait_until(lambda: page.evaluate("window.answers") >= 2)  # of the move, and of the request after it
    expect(tag).to_have_attribute("aria-valuenow", "202.5")
    [(route, answer)] = held
    route.fulfill(response=answer)
    wait_until(lambda: page.evaluate("window.answers") >= 3)
    assert tag.get_attribute("aria-valuenow") == "202.5"


def test_the_label_follows_the_price_and_the_line_disappears_when_the_alert_has_fired(
    alerted_site: Site, open_chart: Callable[..., Page]
):
    page = open_chart(**PHONE)
    tag = tag_of(page, "Alert at or above")
    alerted_site.publish("AAPL", 200.0)  # a price may be old by now
    expect_status(page, "live", "Live")
    alerted_site.publish("AAPL", 201.0)
    expect(tag).to_have_text("≥ 200.50 · −0.25%")
    assert violations_on(page) == []
    alerted_site.manage(
        *("shell", "--verbosity", "0", "-c"),
        "from watchlist.alert_models import Alert; Alert.objects.update(state='fired')",
    )
    fire(alerted_site, ("AAPL", 230.0))
    expect(tag).to_have_text("≥ 230.00 · +14.43%")


def test_a_double_click_opens_the_form_for_a_new_alert_at_this_level(open_chart: Callable[..., Page]):
    page = open_chart()
    form = "**/alerts/new/**"
    page.route(form, lambda route: route.fulfill(body="<title>form</title>", content_type="text/html"))
    box = page.locator(".chart-levels").bounding_box()
    assert box is not None
    page.mouse.dblclick(box["x"] + box["width"] - 40, box["y"] + 40)
    page.wait_for_url(form)
    assert re.search(r"symbol=AAPL&level=\d+\.\d\d$", page.url)
    page.goto("/s/AAPL")
    page.get_by_role("button", name="New alert at this price").click()
    page.wait_for_url(form)
    assert page.url.endswith("symbol=AAPL&level=200.00")


def test_sound_and_notifications_can_be_chosen_before_an_alert_fires(open_chart: Callable[..., Page]):
    page = open_chart()
    page.get_by_role("button", name="Sound and notifications").click()
    panel = page.get_by_role("region", name="Alerts that have fired")
    expect(panel.get_by_text("Nothing new has fired.")).to_be_visible()
    panel.get_by_label("Sound").check()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.get_by_role("button", name="Sound and notifications")).to_be_focused()
    page.reload()
    page.get_by_role("button", name="Sound and notifications").click()
    expect(panel.get_by_label("Sound")).to_be_checked()


def test_a_chart_of_a_visitor_loads_no_script_for_levels(alerted_site: Site, open_page: Callable[..., Page]):
    put_bars(alerted_site.redis, {"AAPL": 200.0})
    page = open_page("/s/AAPL", **DESKTOP)
    expect(page.locator(".chart canvas").first).to_be_visible()
    assert not page.evaluate("performance.getEntriesByType('resource').some(each => /levels/.test(each.name))")


@pytest.mark.parametrize(
    ("places", "spread"),
    [
        ([], []),
        ([50], [50]),
        ([0, 200], [12, 188]),
        ([50, 52, 120], [50, 74, 120]),
        ([190, 195, 200], [140, 164, 188]),
    ],
)
def test_tags_do_not_hide_each_other(blank_page: Page, places: list[float], spread: list[float]):
    body = "return module.spreadTags(given, 200);"
    assert run_module(blank_page, "levels", body, places) == spread
