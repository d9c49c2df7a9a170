"""Takes the pictures of the documentation: `python -m tests.browser.shots`.

Those in the README go to docs/, the social picture to static/watchlist/, all others to shots/. The prices are fixed and
the server is the real one, so two runs differ only if the code differs.
"""

from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.browser.chromium import launch_browser
from tests.support.browser.market import PRICES, put_bars
from tests.support.browser.site import PASSWORD, ROOT, STAFF, Site

LIVE_PRICES = {symbol: price for symbol, price in PRICES.items() if symbol != "^GSPC"}
"""All prices but one, which becomes stale."""
DESKTOP = {"viewport": {"width": 1360, "height": 860}}
SOCIAL = {"viewport": {"width": 1200, "height": 630}}
PHONE = {"viewport": {"width": 360, "height": 780}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
TABLET = {"viewport": {"width": 768, "height": 900}}


class Studio:
    """A site and a browser. Each picture gets a new browser context."""

    def __init__(self, site: Site, browser: Browser) -> None:
        self._site = site
        self._browser = browser

    def open(self, path: str = "/", **options) -> Page:
        page = self._browser.new_context(base_url=self._site.address, **options).new_page()
        page.goto(path)
        return page

    def send_prices(self) -> None:
        put_bars(self._site.redis, PRICES)
        for symbol, price in LIVE_PRICES.items():
            self._site.publish(symbol, price)
        self._site.publish("^GSPC", PRICES["^GSPC"], age=24)

    def open_live(self, path: str = "/", palette: str = "", **options) -> Page:
        """Opens the watchlist with fresh prices, of which two flash."""
        self.send_prices()
        page = self.open("/settings/", **options)
        if palette:
            page.get_by_label("Blue and orange").check()
            page.get_by_role("button", name="Save").click()
        self.create_lists(page)
        page.goto(path)
        self.send_prices()
        expect(page.locator("#status")).to_have_attribute("data-state", "live")
        self.send_prices()
        self._site.publish("NVDA", 141.96)
        self._site.publish("TSLA", 338.70)
        expect(page.locator("#quotes [data-symbol=TSLA] td.last")).to_have_text("338.70")
        # A flash ends before the picture is taken, so the classes are set for good.
        for symbol, side in (("NVDA", "up"), ("TSLA", "down")):
            page.locator(f"#quotes [data-symbol={symbol}] td.last").evaluate(
                "(cell, side) => cell.classList.add(`flash-${side}`)", side
            )
        return page

    def create_lists(self, page: Page) -> None:
        """Creates three lists."""
        page.goto("/")
        for name, symbols in (("Semiconductors", "NVDA TSLA AAPL"), ("Coins", "BTC/USD ETH/USD")):
            page.get_by_title("New list").click()
            page.get_by_label("Name of the new list").fill(name)
            page.get_by_role("button", name="Create").click()
            expect(page.get_by_role("link", name=name)).to_have_attribute("aria-current", "page")
            page.get_by_role("combobox").fill(symbols.replace(" ", ", "))
            page.get_by_role("combobox").press("Enter")
            expect(page.locator("#said .success")).to_be_visible()

    def sign_in(self, page: Page) -> None:
        page.goto("/sign-in/")
        page.get_by_label("Username").fill(STAFF)
        page.get_by_label("Password").fill(PASSWORD)
        page.locator("main").get_by_role("button", name="Sign in").click()


def save(page: Page, name: str, full: bool = False) -> None:
    folder = ROOT / {"light": "docs", "phone": "docs", "social": "static/watchlist"}.get(name, "shots")
    folder.mkdir(exist_ok=True)
    path = Path(folder, f"{name}.png")
    page.screenshot(path=path, full_page=full)
    print(path.relative_to(ROOT))
    page.context.close()


def take_live(studio: Studio) -> None:
    save(studio.open_live(**DESKTOP), "light")
    save(studio.open_live(**DESKTOP, color_scheme="dark"), "dark")
    save(studio.open_live(**PHONE), "phone")
    save(studio.open_live(**PHONE, color_scheme="dark"), "phone-dark")
    save(studio.open_live(**TABLET), "tablet")
    save(studio.open_live(**SOCIAL), "social")
    save(studio.open_live(palette="blue", **DESKTOP, color_scheme="dark"), "dark-blue")
    for name, options in (
        ("drawer", DESKTOP),
        ("drawer-dark", DESKTOP | {"color_scheme": "dark"}),
        ("drawer-phone", PHONE),
    ):
        page = studio.open_live("/s/AAPL", **options)
        expect(page.locator("#drawer canvas").first).to_be_visible()
        page.wait_for_function("!document.querySelector('.cross').textContent")
        save(page, name)


def take_menus_and_forms(studio: Studio) -> None:
    studio.send_prices()
    save(studio.open(**DESKTOP), "first-visit")
    save(studio.open(**PHONE), "first-visit-phone")
    page = studio.open_live(**DESKTOP)
    page.get_by_role("combobox").fill("co")
    expect(page.get_by_role("option").first).to_be_visible()
    save(page, "search")
    page = studio.open_live(**DESKTOP)
    page.get_by_title("Change this list").click()
    save(page, "list-menu")
    page = studio.open_live(**DESKTOP)
    page.get_by_label("Actions for NVDA").click()
    save(page, "row-menu")
    page = studio.open_live(**DESKTOP)
    page.get_by_title("Appearance").click()
    save(page, "look-menu")
    page = studio.open_live(**DESKTOP)
    page.keyboard.press("?")
    save(page, "keys")
    page = studio.open_live("/?sort=-percent", **DESKTOP)
    page.keyboard.press("p")
    save(page, "sorted-paused")
    page = studio.open(**DESKTOP)
    page.get_by_label("Actions for NVDA").click()
    page.get_by_role("button", name="Remove NVDA").click()
    expect(page.locator("#undo-button")).to_be_visible()
    save(page, "undo")
    save(studio.open("/settings/", **DESKTOP), "settings", full=True)
    save(studio.open("/transfer/", **DESKTOP), "transfer")
    page = studio.open("/transfer/", **DESKTOP)
    page.get_by_label("Or paste its lines").fill("list,symbol\nCoins,BTC/USD\nCoins,DOGE/USD\nMain,AAPL\n,AAPL")
    page.get_by_role("button", name="Preview").click()
    save(page, "preview")


def take_without_javascript(studio: Studio) -> None:
    studio.send_prices()
    save(studio.open(**DESKTOP, java_script_enabled=False), "no-script")
    save(studio.open(**PHONE, java_script_enabled=False), "no-script-phone")


def take_states(studio: Studio, site: Site) -> None:
    page = studio.open(**DESKTOP)
    page.get_by_role("button", name="Start with an empty list").click()
    expect(page.get_by_role("heading", name="This list is empty")).to_be_visible()
    save(page, "empty")
    page = studio.open(**DESKTOP)
    page.get_by_role("combobox").fill("nope")
    page.get_by_role("combobox").press("Enter")
    expect(page.locator("#said .error")).to_be_visible()
    save(page, "refused")
    site.clear_redis()
    for symbol, price in LIVE_PRICES.items():
        site.publish(symbol, price, age=130)
    page = studio.open(**DESKTOP)
    expect(page.locator("#status")).to_have_attribute("data-state", "stale")
    save(page, "stale")


def take_accounts(studio: Studio) -> None:
    save(studio.open("/sign-in/", **DESKTOP), "sign-in")
    page = studio.open("/sign-up/", **DESKTOP)
    page.get_by_label("Username").fill("a b")
    page.get_by_label("Password", exact=True).fill("12345")
    page.get_by_label("Password again").fill("1234")
    page.locator("main").get_by_role("button", name="Sign up").click()
    save(page, "sign-up", full=True)
    save(studio.open("/nowhere/", **DESKTOP), "not-found")
    page = studio.open_live(**DESKTOP)
    studio.sign_in(page)
    expect(page.locator("#status")).to_have_attribute("data-state", "live")
    save(page, "signed-in")
    page = studio.open(**PHONE)
    studio.sign_in(page)
    expect(page.locator("#status")).to_have_attribute("data-state", "live")
    save(page, "signed-in-phone")


def take_sharing(studio: Studio) -> None:
    for name, options in (("note", DESKTOP), ("note-phone", PHONE)):
        page = studio.open_live(**options)
        page.goto("/s/NVDA")
        page.get_by_label("Note in “Main”").fill("Buy more below 130, earnings on 27 November")
        page.get_by_role("button", name="Save note").click()
        expect(page.locator("#quotes .remark")).to_have_count(1)
        if options is PHONE:
            page.keyboard.press("Escape")
        save(page, name)
    owner = studio.open(**DESKTOP)
    studio.sign_in(owner)
    owner.get_by_role("combobox").fill("KO")
    owner.get_by_role("combobox").press("Enter")
    expect(owner.locator("#said .success")).to_be_visible()
    owner.goto("/list/share/")
    owner.get_by_role("button", name="Make a link").click()
    address = owner.get_by_label("Link to “Main”").input_value()
    owner.screenshot(path=ROOT / "shots" / "share.png")
    for name, options in (("shared", DESKTOP), ("shared-phone", PHONE)):
        for theme in ("light", "dark"):
            page = studio.open(address, color_scheme=theme, **options)
            studio.send_prices()
            expect(page.locator("#status")).to_have_attribute("data-state", "live")
            save(page, f"{name}-{theme}")
    save(studio.open(f"{address}/copy/", **DESKTOP), "shared-sign-in")
    owner.goto(f"{address}/copy/")
    owner.screenshot(path=ROOT / "shots" / "shared-copy.png")
    page = studio.open(address, **DESKTOP)
    expect(page.locator("#status")).to_have_attribute("data-state", "live")
    owner.goto("/list/share/")
    owner.get_by_role("button", name="Revoke the link").click()
    expect(page.get_by_role("heading", name="This link shows no list")).to_be_visible()
    save(page, "shared-revoked")
    page = studio.open_live(**DESKTOP)
    studio.sign_in(page)
    page.get_by_title("New list").click()
    page.get_by_label("Name of the new list").fill("Empty")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#tabs [aria-current]")).to_contain_text("Empty")
    page.get_by_title("Change this list").click()
    page.get_by_role("link", name="Share by a link").click()
    page.get_by_role("button", name="Make a link").click()
    save(studio.open(page.get_by_label("Link to “Empty”").input_value(), **PHONE), "shared-empty-phone")
    owner.context.close()
    page.context.close()


def take_admin(studio: Studio) -> None:
    page = studio.open(**DESKTOP)
    studio.sign_in(page)
    page.goto("/admin/feeds/ticker/")
    save(page, "admin")
    page = studio.open(**DESKTOP)
    studio.sign_in(page)
    page.goto("/admin/feeds/ticker/1/change/")
    save(page, "admin-ticker")
    page = studio.open(**DESKTOP)
    studio.sign_in(page)
    page.goto("/admin/feeds/ticker/1/delete/")
    save(page, "admin-refused")


def take_outages(studio: Studio, site: Site) -> None:
    page = studio.open_live(**DESKTOP)
    site.kill_server()
    expect(page.locator("#status")).to_have_attribute("data-state", "waiting")
    save(page, "reconnecting")
    site.start_server()
    site.stop_redis()
    save(studio.open(**DESKTOP), "redis-down")


def main() -> None:
    site = Site(stale_after="20s")
    try:
        site.start()
        with sync_playwright() as playwright:
            browser = launch_browser(playwright)
            studio = Studio(site, browser)
            take_live(studio)
            take_menus_and_forms(studio)
            take_without_javascript(studio)
            take_states(studio, site)
            site.clear_redis()
            studio.send_prices()
            take_accounts(studio)
            take_sharing(studio)
            take_admin(studio)
            take_outages(studio, site)
            browser.close()
    finally:
        site.close()


if __name__ == "__main__":
    main()
