import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.page import (
    PHONE,
    cell,
    edges,
    expect_state,
    forget_lost_connections,
    remove,
    row_of,
    sign_in,
)
from tests.support.browser.site import PASSWORD, Site
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser

TEN_MINUTES_WRONG = """
const wrong = 10 * 60 * 1000 * SIGN, right = Date.now.bind(Date), Real = Date;
Date = class extends Real { constructor(...given) { given.length ? super(...given) : super(right() + wrong); } };
Date.now = () => right() + wrong;
"""


@pytest.mark.parametrize("width", [360, 768, 1360])
def test_field_tabs_and_cards_share_their_edges(open_page: Callable[..., Page], width: int):
    page = open_page(viewport={"width": width, "height": 800})
    left, right = edges(page, "#board > .card >> nth=-1")
    assert edges(page, "#tabs nav a >> nth=0")[0] == left
    assert edges(page, "#add")[1] == right
    if width == 360:
        assert edges(page, "#symbol")[0] == left
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_without_javascript_the_prices_are_there(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 226.84)
    page = open_page(java_script_enabled=False)
    expect(cell(page, "AAPL", "last")).to_have_text("226.84")
    expect(cell(page, "AAPL", "percent")).to_have_text("+1.22%")
    expect(cell(page, "AAPL", "age")).to_have_text(re.compile(r"\d\d:\d\d:\d\d UTC"))
    expect(page.locator("noscript .note")).to_contain_text("Live updates need JavaScript")
    expect(page.locator("#status")).to_be_hidden()


def test_without_javascript_the_list_is_changed_by_forms(open_page: Callable[..., Page]):
    page = open_page(java_script_enabled=False)
    page.get_by_label("Add a symbol or name").fill(" coca ")
    page.get_by_role("button", name="Add").click()
    expect(row_of(page, "KO")).to_be_visible()
    remove(page, "KO")
    expect(row_of(page, "KO")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(row_of(page, "KO")).to_be_visible()


@pytest.mark.parametrize("symbol", ["AAPL", "BRK.B", "^GSPC", "BTC/USD", "EURUSD=X"])
def test_a_live_price_moves_its_row(site: Site, open_page: Callable[..., Page], symbol: str):
    site.publish(symbol, 5.0)
    page = open_page()
    expect_state(page, "live", "Live")
    base = float(row_of(page, symbol).get_attribute("data-base"))
    site.publish(symbol, base * 1.5)
    expect(cell(page, symbol, "percent")).to_have_text("+50.00%")
    site.publish(symbol, base / 2)
    expect(cell(page, symbol, "percent")).to_have_text("\u221250.00%")
    expect(cell(page, symbol, "change")).to_have_class("change down")


def test_the_first_price_ever_fills_an_empty_row(site: Site, page: Page):
    expect_state(page, "stale", "No prices yet")
    expect(cell(page, "AAPL", "last")).to_have_text("–")
    site.publish("AAPL", 226.84)
    expect(cell(page, "AAPL", "last")).to_have_text("226.84")
    expect(cell(page, "AAPL", "age")).to_have_text(re.compile(r"^(< 1|\d+) s$"))
    expect_state(page, "live", "Live")


def test_an_older_price_is_never_shown_again(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0)
    page = open_page()
    expect_state(page, "live", "Live")
    site.publish("AAPL", 100.0, age=60)
    site.publish("MSFT", 400.0)  # arrives after the older one, so that this was seen when it is here
    expect(cell(page, "MSFT", "last")).to_have_text("400.00")
    expect(cell(page, "AAPL", "last")).to_have_text("200.00")


def test_a_price_without_news_grows_stale_and_recovers(site: Site, open_page: Callable[..., Page]):
    site.publish("MSFT", 400.0, age=200)
    page = open_page()
    expect(row_of(page, "MSFT")).to_have_class("stale")
    expect(cell(page, "MSFT", "age")).to_have_text(re.compile(r"stale \d min"))

    def grows_fresh() -> bool:
        # Ten seconds before it is stale: sent again where the page was too slow to see it before.
        site.publish("AAPL", 200.0, age=20)
        return row_of(page, "AAPL").evaluate("""row => new Promise((answer) => setTimeout(() => {
            const shown = row.querySelector("td.last").textContent === "200.00";
            answer(shown && !row.matches(".stale"));
        }, 500))""")

    wait_until(grows_fresh)
    expect(row_of(page, "AAPL")).to_have_class("stale")
    expect_state(page, "stale", "No new prices")
    site.publish("MSFT", 401.0)
    expect(row_of(page, "MSFT")).not_to_have_class("stale")
    expect_state(page, "live", "Live")


@pytest.mark.parametrize("sign", ["1", "-1"])
def test_a_browser_clock_ten_minutes_wrong_changes_nothing(site: Site, open_page: Callable[..., Page], sign: str):
    page = open_page("/livez")
    page.add_init_script(TEN_MINUTES_WRONG.replace("SIGN", sign))
    site.publish("AAPL", 200.0)
    site.publish("MSFT", 400.0, age=200)
    page.goto("/")
    expect_state(page, "live", "Live")
    site.publish("AAPL", 201.0)
    expect(cell(page, "AAPL", "last")).to_have_text("201.00")
    expect(cell(page, "AAPL", "age")).to_have_text(re.compile(r"^(< 1|\d+) s$"))
    expect(cell(page, "MSFT", "age")).to_have_text(re.compile(r"stale \d min"))


def test_a_killed_gateway_is_seen_and_its_return_needs_no_reload(site: Site, page: Page, complaints: list[str]):
    site.publish("AAPL", 200.0)
    expect_state(page, "live", "Live")
    page.evaluate("window.neverReloaded = true")
    site.kill_server()
    expect_state(page, "waiting", "Reconnecting")
    expect(page.locator("#status small")).to_have_text(re.compile(r"in \d s|now"))
    site.publish("AAPL", 210.0)
    site.start_server()
    expect(page.locator("#status")).to_have_attribute("data-state", re.compile("live|stale"), timeout=20_000)
    expect(cell(page, "AAPL", "last")).to_have_text("210.00")
    site.publish("AAPL", 220.0)
    expect(cell(page, "AAPL", "last")).to_have_text("220.00")
    assert page.evaluate("window.neverReloaded")
    forget_lost_connections(complaints)


def test_a_page_loaded_without_redis_fills_when_it_returns(site: Site, open_page: Callable[..., Page]):
    site.stop_redis()
    page = open_page()
    expect(page.get_by_text("Prices are not available right now")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(12)
    site.start_redis()
    site.publish("AAPL", 200.0)
    expect(cell(page, "AAPL", "last")).to_have_text("200.00", timeout=20_000)
    expect(page.get_by_text("Prices are not available right now")).to_have_count(0)


def test_a_base_price_changed_in_the_admin_moves_the_open_page(site: Site, open_page: Callable[..., Page]):
    site.publish("XOM", 150.0)
    page = open_page()
    expect(cell(page, "XOM", "percent")).to_have_text("+24.68%")
    expect_state(page, "live", "Live")
    admin = open_page()
    sign_in(admin)
    admin.goto("/admin/feeds/ticker/?q=XOM")
    try:
        admin.get_by_role("textbox").or_(admin.get_by_role("spinbutton")).nth(2).fill("100")
        admin.get_by_role("button", name="Save").click()
        expect(admin.get_by_text("1 ticker was changed successfully")).to_be_visible()
        expect(cell(page, "XOM", "change")).to_have_text("▲+50.00")
        expect(cell(page, "XOM", "percent")).to_have_text("+50.00%")
    finally:
        site.manage("loaddata", "--verbosity", "0", "tests/support/browser/tickers.json")


def test_a_ticker_switched_off_says_so_in_its_row(site: Site, open_page: Callable[..., Page]):
    site.publish("XOM", 150.0)
    page = open_page()
    expect_state(page, "live", "Live")
    admin = open_page()
    sign_in(admin)
    try:
        admin.goto("/admin/feeds/ticker/12/change/")
        admin.get_by_label("Active").uncheck()
        admin.get_by_role("button", name="Save", exact=True).click()
        expect(cell(page, "XOM", "age")).to_have_text("off")
    finally:
        site.manage("loaddata", "--verbosity", "0", "tests/support/browser/tickers.json")


def test_symbols_are_added_and_removed_by_keyboard(site: Site, page: Page):
    site.publish("BTC/USD", 98000.0)
    page.evaluate("window.neverReloaded = true")
    page.keyboard.press("/")
    page.keyboard.type("ether")
    expect(page.get_by_role("option", name="ETH/USD")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("ETH/USD is in your list now.")
    site.publish("ETH/USD", 3400.0)
    expect(cell(page, "ETH/USD", "last")).to_have_text("3,400.00")
    row_of(page, "BTC/USD").get_by_role("link").focus()
    page.keyboard.press("Delete")
    expect(page.get_by_role("status")).to_contain_text("BTC/USD is no longer in “Main”.")
    expect(row_of(page, "BTC/USD")).to_have_count(0)
    expect(row_of(page, "EURUSD=X").get_by_role("link")).to_be_focused()
    page.keyboard.press("u")
    expect(row_of(page, "BTC/USD")).to_be_visible()
    site.publish("BTC/USD", 99000.0)
    expect(cell(page, "BTC/USD", "last")).to_have_text("99,000.0")
    assert page.evaluate("window.neverReloaded")


def test_an_empty_list_has_no_socket_and_offers_a_start(site: Site, page: Page):
    page.get_by_role("button", name="Start with an empty list").click()
    expect(page.get_by_role("heading", name="This list is empty")).to_be_visible()
    expect(page.locator("#status")).to_have_attribute("data-state", "still")
    sockets = []
    page.on("websocket", lambda socket: sockets.append(socket))
    page.reload()
    expect(page.get_by_role("heading", name="This list is empty")).to_be_visible()
    assert sockets == []
    page.get_by_role("button", name="AAPL Apple").click()
    expect(page.locator("#quotes tbody tr")).to_have_count(1)
    expect_state(page, "stale", "No prices yet")
    assert len(sockets) == 1


def test_a_visitor_signs_up_with_the_list_and_signs_out(page: Page):
    remove(page, "AAPL")
    expect(row_of(page, "AAPL")).to_have_count(0)
    page.get_by_role("navigation").get_by_role("link", name="Sign up").click()
    page.get_by_label("Username").fill("grace")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Sign up").click()
    expect(page.locator("tbody tr")).to_have_count(11)
    page.get_by_title("Signed in as grace").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("tbody tr")).to_have_count(12)


@pytest.mark.parametrize("path", ["/", "/s/AAPL"])
def test_symbols_and_names_have_room_at_any_width(open_page: Callable[..., Page], path: str):
    page = open_page(path)
    for width in (721, 800, 860, 999, 1000, 1060, 1100, 1160, 1180, 1240, 1300):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.querySelector('#quotes tbody th').offsetWidth") >= 110, width


@pytest.mark.parametrize("width", [320, 360, 720, 721, 900])
def test_no_width_scrolls_sideways(site: Site, open_page: Callable[..., Page], width: int):
    site.publish("BTC/USD", 1_234_567.8, age=90)
    site.publish("EURUSD=X", 1.04182)
    page = open_page(**PHONE | {"viewport": {"width": width, "height": 780}})
    expect(cell(page, "BTC/USD", "age")).to_contain_text("stale")
    expect(page.locator("#status")).not_to_have_attribute("data-state", "still")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for name in ("Coins", "Semiconductors", "Energy", "W" * 40):
        page.get_by_title("New list").click()
        page.get_by_label("Name of the new list").fill(name)
        page.get_by_role("button", name="Create").click()
        expect(page.locator("#tabs [aria-current]")).to_contain_text(name)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for path in ("/sign-in/", "/sign-up/"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") == width


def note_flashes(page: Page) -> None:
    """A flash is over in half a second: each is written down, as `AAPL last flash-up`."""
    page.evaluate("""() => {
        window.flashes = [];
        new MutationObserver((changes) => changes.forEach(({target}) => {
            const flash = `${target.closest("tr")?.dataset.symbol} ${target.className}`;
            if (flash.includes("flash")) window.flashes.push(flash);
        })).observe(document.getElementById("quotes"), {attributes: true, attributeFilter: ["class"], subtree: true});
    }""")


def expect_flash(page: Page, flash: str) -> None:
    page.wait_for_function("flash => window.flashes.includes(flash)", arg=flash)


def test_a_moved_price_flashes_in_its_direction(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0)
    site.publish("MSFT", 400.0)
    page = open_page()
    expect_state(page, "live", "Live")
    note_flashes(page)
    site.publish("AAPL", 201.0)
    site.publish("MSFT", 399.0)
    expect_flash(page, "AAPL last flash-up")
    expect_flash(page, "MSFT last flash-down")
    expect(cell(page, "AAPL", "last")).to_have_class("last")


def test_nothing_flashes_with_reduced_motion(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0)
    page = open_page(reduced_motion="reduce")
    expect_state(page, "live", "Live")
    note_flashes(page)
    site.publish("AAPL", 201.0)
    expect(cell(page, "AAPL", "last")).to_have_text("201.00")
    assert page.evaluate("window.flashes") == []


def test_a_burst_ends_with_its_last_price(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0)
    page = open_page()
    expect_state(page, "live", "Live")
    for step in range(1, 101):
        site.publish("AAPL", 200.0 + step)
    expect(cell(page, "AAPL", "last")).to_have_text("300.00")


def test_rows_are_patched_and_never_replaced(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0)
    page = open_page()
    before = row_of(page, "AAPL").element_handle()
    site.publish("AAPL", 201.0)
    expect(cell(page, "AAPL", "last")).to_have_text("201.00")
    assert before.evaluate("row => row.isConnected && row === document.querySelector('tr[data-symbol=AAPL]')")


def test_the_admin_needs_no_looser_policy(open_page: Callable[..., Page]):
    page = open_page()
    sign_in(page)
    for path in (
        "",
        "feeds/ticker/",
        "feeds/ticker/add/",
        "feeds/ticker/1/change/",
        "feeds/ticker/1/delete/",
        "feeds/ticker/import/",
    ):
        page.goto(f"/admin/{path}")
        expect(page.get_by_text("stockwatch: simulated prices")).to_be_visible()
    page.goto("/admin/watchlist/watchlist/add/")
    expect(page.get_by_role("heading", name="Add watchlist")).to_be_visible()
