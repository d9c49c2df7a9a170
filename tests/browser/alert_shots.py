"""Takes pictures of the pages of alerts in every state: `python -m tests.browser.alert_shots`.

Each state is shown on a desktop with the light theme and on a phone with the dark theme, in shots/. Violations of the
rules of accessibility and pages that are wider than the screen end the program.
"""

from collections.abc import Callable

from playwright.sync_api import Browser, Page, sync_playwright

from feeds.store.feed_state import FeedState, FeedStateStore
from tests.support.browser.alert_rows import set_alerts, set_engine, store_week
from tests.support.browser.axe import violations_on
from tests.support.browser.chromium import SIZES, launch_browser
from tests.support.browser.market import PRICES, put_bars
from tests.support.browser.page import sign_in
from tests.support.browser.site import ROOT, Site

FOLDER = ROOT / "shots"
NEW = "/alerts/new/?symbol=AAPL"
SOURCES = {"MSFT": "kraken", "GOOG": "alpaca", "AMZN": "alpaca", "TSLA": "alpaca"}
"""The sources of some tickers, which have a state each."""

SET_SOURCES = (
    "from feeds.models import Ticker\nfor s, n in {}.items(): Ticker.objects.filter(symbol=s).update(source=n)"
)
CONNECTED = FeedState("connected", "", 1, 1, {"closed": ["GOOG"], "halted": ["AMZN"], "unknown": ["TSLA"]})
SILENT = FeedState("silent", "no message for 5 s", 1, 1)

FIRED = [
    {"price": 230.02, "late": True, "deliveries": [{"channel": "page", "state": "done", "attempts": 1}]},
    {
        "price": 230.4,
        "deliveries": [
            {"channel": "page", "state": "done", "attempts": 1},
            {"channel": "email", "state": "failed", "attempts": 9, "last_error": "550 no such mailbox here"},
            {
                "channel": "webhook",
                "attempts": 3,
                "last_error": "status 500 from https://hooks.example.com/services/a-long-path/of/a/webhook",
            },
        ],
    },
]
MANY: list[dict[str, object]] = [
    {"symbol": "AAPL", "level": 230.0, "note": "Sell half, then look again", "by_email": True},
    {"symbol": "AAPL", "kind": "down", "level": 220.0, "repeat": "each", "cooldown_seconds": 300},
    {"symbol": "BTC/USD", "kind": "either", "level": 100_000.0, "repeat": "daily", "expires": "2030-01-01T12:00+00:00"},
    {"symbol": "NVDA", "kind": "day_percent", "percent": -5.0},
    {"symbol": "MSFT", "level": 420.0},
    {"symbol": "GOOG", "level": 180.0},
    {"symbol": "AMZN", "level": 210.0},
    {"symbol": "TSLA", "level": 350.0},
    {"symbol": "XOM", "level": 125.0, "state": "paused"},
    {"symbol": "GLD", "level": 230.0, "state": "fired", "firings": FIRED, "note": "x" * 200},
    {"symbol": "BRK.B", "level": 500.0, "state": "expired", "expires": "2024-01-01T12:00+00:00"},
    {
        "symbol": "EURUSD=X",
        "level": 1.05,
        "state": "failed",
        "state_reason": "The engine cannot watch a level of this kind on this symbol.",
    },
]


class Photographer:
    """Takes each picture in both sizes. A person is signed in, except on pages that `visitor` opens."""

    def __init__(self, site: Site, browser: Browser) -> None:
        self.site = site
        self._pages = {
            size: browser.new_context(base_url=site.address, locale="en-US", **options).new_page()
            for size, options in SIZES.items()
        }

    def sign_in(self) -> None:
        for page in self._pages.values():
            sign_in(page)

    def take(self, name: str, path: str, prepare: Callable[[Page], object] = lambda _: None) -> None:
        """Takes the pictures of a page. `prepare` brings the page into its state."""
        for size, page in self._pages.items():
            page.goto(path)
            prepare(page)
            if violations := violations_on(page):
                raise SystemExit(f"{name}, {size}: " + "; ".join(violations))
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                raise SystemExit(f"{name}, {size}: the page is wider than the screen")
            file = FOLDER / f"alerts-{name}-{size}.png"
            page.screenshot(path=file, full_page=True)
            print(file.relative_to(ROOT), flush=True)


def fill(page: Page, **values: str) -> None:
    page.get_by_label("Level", exact=True).fill(values.get("level", "227"))
    page.get_by_label("Note").fill("Sell half")


def preview(page: Page) -> None:
    fill(page)
    page.get_by_label("Fires").select_option("each")
    page.get_by_role("button", name="Preview").click()


def preview_window(page: Page) -> None:
    page.get_by_label("Condition").select_option("window_percent")
    page.get_by_label("Percent").fill("-1")
    page.get_by_label("Time in minutes").fill("90")
    page.get_by_role("button", name="Preview").click()


def make_errors(page: Page) -> None:
    page.get_by_label("Symbol").fill("NOPE")
    page.get_by_label("Level", exact=True).fill("-5")
    page.get_by_label("Expires").fill("2001-01-01T12:00")
    page.get_by_label("Page").uncheck()
    page.get_by_role("button", name="Create alert").click()


def create_true(page: Page) -> None:
    fill(page, level="200")
    page.get_by_role("button", name="Create alert").click()


def delete_first(page: Page) -> None:
    page.locator("#alerts summary").first.click()
    page.get_by_role("button", name="Delete").first.click()


def take_lists(photographer: Photographer) -> None:
    site = photographer.site
    photographer.take("empty", "/alerts/")
    photographer.take("history-empty", "/alerts/history/")
    set_alerts(site, *MANY)
    FeedStateStore(site.redis).write({"kraken": SILENT, "alpaca": CONNECTED})
    for source in ("kraken", "alpaca"):
        site.redis.persist(f"feed:{source}")
    photographer.take("list", "/alerts/")
    photographer.take("menu", "/alerts/", lambda page: page.locator("#alerts summary").first.click())
    photographer.take("history", "/alerts/history/")
    set_engine(site.redis, lag=12.0)
    photographer.take("engine-behind", "/alerts/")
    set_engine(site.redis, stalled=True)
    photographer.take("engine-stalled", "/alerts/")
    site.redis.delete("alerts:engines")
    photographer.take("engine-down", "/alerts/")
    set_engine(site.redis)
    photographer.take("undo", "/alerts/", delete_first)


def take_forms(photographer: Photographer) -> None:
    photographer.take("new", NEW)
    photographer.take("new-percent", NEW, lambda page: page.get_by_label("Condition").select_option("day_percent"))
    photographer.take("new-window", NEW, preview_window)
    photographer.take("errors", NEW, make_errors)
    photographer.take("preview", NEW, preview)
    photographer.take("already-true", NEW, create_true)
    photographer.take("drawer", "/s/AAPL")
    photographer.take("header", "/")
    set_alerts(photographer.site, *[{"symbol": "AAPL", "level": 230.0 + number} for number in range(200)])
    photographer.take("full", NEW, lambda page: (fill(page), page.get_by_role("button", name="Create alert").click()))
    photographer.take(
        "full-list",
        "/alerts/",
        lambda page: page.locator("#alerts tr:nth-child(n+6)").evaluate_all(
            "rows => rows.forEach((row) => row.remove())"
        ),
    )


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    site = Site(stale_after="1h")
    try:
        site.start()
        site.manage("shell", "--verbosity", "0", "-c", SET_SOURCES.format(SOURCES))
        put_bars(site.redis, PRICES)
        for symbol, price in PRICES.items():
            site.publish(symbol, price)
        set_engine(site.redis)
        store_week(site, "AAPL", PRICES["AAPL"])
        with sync_playwright() as playwright:
            browser = launch_browser(playwright)
            photographer = Photographer(site, browser)
            photographer.take("visitor", NEW)
            photographer.sign_in()
            take_lists(photographer)
            take_forms(photographer)
            browser.close()
    finally:
        site.close()


if __name__ == "__main__":
    main()
