"""Takes pictures of the page with real sources: `python -m tests.browser.feed_shots`.

The whole pipeline runs on this machine, as `make run` starts it. Its sources are a fake Kraken and a fake Alpaca. Each
state is shown on a desktop with the light theme and on a phone with the dark theme, in shots/. Violations of the rules
of accessibility end the program.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Self

from playwright.sync_api import Browser, Page, expect, sync_playwright

from feeds.feeder.network.market_hours import is_open
from feeds.sources.adapter import Market
from feeds.tickers.starters import COINS, SHARES
from stockwatch.local.redis_server import free_port
from tests.exchanges.alpaca import AlpacaExchange
from tests.exchanges.kraken import KrakenExchange
from tests.exchanges.server import Exchange, NewTrade
from tests.support.browser.axe import violations_on
from tests.support.browser.chromium import SIZES, launch_browser
from tests.support.browser.page import cell, create_list, expect_status
from tests.support.browser.site import ROOT
from tests.support.waiting import wait_until

FOLDER = ROOT / "shots"
MINUTE_US, DAY_US = 60_000_000, 86_400_000_000
PRICES = {f"{coin}/USD": (price, decimals) for coin, _, price, decimals in COINS}
SHARE_PRICES = {symbol: (price, 2) for symbol, _, price in SHARES}
LISTED = [symbol for symbol in PRICES if symbol != "UNI/USD"]
"""The coins of the exchange. It does not know UNI/USD."""

QUIET = "DOT/USD"
QUIET_MINUTES = 23
TIMEOUT_MS = 180_000
PAST_SECONDS = 500.0
"""How long the feeder may take to fetch the past of all coins, at one request per second."""

TRADES_PER_SECOND = 12


class Coins(threading.Thread):
    """Makes random trades with plausible prices until `stop` is called."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(daemon=True)
        self._exchange = exchange
        self._random = Random(1)
        self._prices = {symbol: price for symbol, (price, _) in PRICES.items()}
        self._stopped = threading.Event()

    def make_past(self) -> None:
        """Makes a trade per day of a year and per minute of half a day, which are not sent."""
        now = time.time_ns() // 1000
        ages = [*(day * DAY_US for day in range(365, 0, -1)), *(minute * MINUTE_US for minute in range(715, 0, -1))]
        quiet = [age for age in ages if age > QUIET_MINUTES * MINUTE_US]
        trades = [self._next(symbol, now - age) for symbol in LISTED for age in (quiet if symbol == QUIET else ages)]
        self._exchange.trades(trades, sent=False)

    def trade(self, symbol: str) -> None:
        self._exchange.trades([self._next(symbol, 0)])
        price, tick = self._prices[symbol], 10 ** -PRICES[symbol][1]
        self._exchange.quote(symbol, _text(symbol, price - tick), _text(symbol, price + tick))

    def run(self) -> None:
        busy = [symbol for symbol in LISTED if symbol != QUIET]
        while not self._stopped.wait(1 / TRADES_PER_SECOND):
            self.trade(self._random.choice(busy))

    def stop(self) -> None:
        self._stopped.set()
        self.join()

    def _next(self, symbol: str, at: int) -> NewTrade:
        self._prices[symbol] *= 1 + self._random.gauss(0, 0.0001 if at == 0 else 0.0004)
        return symbol, _text(symbol, self._prices[symbol]), f"{self._random.uniform(0.01, 2):.8f}", at


def _text(symbol: str, price: float) -> str:
    return f"{price:.{PRICES[symbol][1]}f}"


def make_closes(days: int, rng: Random) -> list[NewTrade]:
    """Returns a trade of each share at 20:00 UTC, this number of days before yesterday."""
    at = (time.time_ns() // 1000 // DAY_US - days) * DAY_US - 4 * 60 * MINUTE_US
    prices = {symbol: price * (1 + rng.gauss(0, 0.01)) for symbol, (price, _) in SHARE_PRICES.items()}
    return [(symbol, f"{price:.2f}", "10", at) for symbol, price in prices.items()]


class LocalStack:
    """`runstack` with both sources, on a new database and a free port."""

    def __init__(self, *exchanges: Exchange) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="stockwatch-shots-")
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        self._environment = os.environ | {
            "DATABASE_URL": f"sqlite:///{self._folder.name}/db.sqlite3",
            "APP_PORT": f":{port}",
            "FEEDS": ",".join(exchange.name for exchange in exchanges),
        }
        for exchange in exchanges:
            self._environment |= exchange.settings()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "runstack"],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        lines = iter(self._process.stdout.readline, "")
        if not any(self.address.rpartition(":")[2] in line and "stockwatch: http" in line for line in lines):
            raise RuntimeError("the stack did not start")
        threading.Thread(target=self._process.stdout.read, daemon=True).start()  # a full pipe would stop the stack
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)
        self._folder.cleanup()


class Photographer:
    """Takes each picture in both sizes. The visitor of a size has the lists `Coins` and `Shares`."""

    def __init__(self, browser: Browser, address: str) -> None:
        self._browser = browser
        self._address = address
        self._cookies: dict[str, Any] = {}

    def create_lists(self) -> None:
        for size in SIZES:
            page = self._open(size)
            for name, symbols in (("Coins", PRICES), ("Shares", SHARE_PRICES)):
                create_list(page, name)
                page.get_by_role("combobox").fill(", ".join(symbols))
                page.get_by_role("combobox").press("Enter")
                expect(page.locator("#said .success")).to_be_visible()
            self._cookies[size] = page.context.storage_state()
            page.context.close()

    def take(self, name: str, list_name: str, is_ready: Callable[[Page], object], path: str = "/") -> None:
        """Takes the pictures of a state. `is_ready` waits for the state on a page."""
        for size in SIZES:
            page = self._open(size, path)
            if path == "/":
                page.get_by_role("navigation", name="Lists").get_by_role("link", name=list_name).click()
                expect(page.get_by_role("link", name=list_name)).to_have_attribute("aria-current", "page")
            is_ready(page)
            if violations := violations_on(page):
                raise SystemExit(f"{name}, {size}: " + "; ".join(violations))
            file = FOLDER / f"feed-{name}-{size}.png"
            page.screenshot(path=file)
            print(Path(file).relative_to(ROOT), flush=True)
            page.context.close()

    def _open(self, size: str, path: str = "/") -> Page:
        options = SIZES[size] | {"storage_state": self._cookies.get(size)}
        page = self._browser.new_context(base_url=self._address, locale="en-US", **options).new_page()
        page.goto(path)
        return page


def shows_status(state: str, label: str) -> Callable[[Page], None]:
    return lambda page: expect_status(page, state, label)


def shows_age(symbol: str, text: str) -> Callable[[Page], None]:
    def is_ready(page: Page) -> None:
        expect(cell(page, symbol, "age")).to_contain_text(text)
        cell(page, symbol, "age").scroll_into_view_if_needed()

    return is_ready


def shows_full_sparklines(page: Page) -> None:
    """Reloads the page until the bars of the past are there."""
    expect_status(page, "live", "Live")
    expect(page.locator("#quotes tbody tr").first).to_be_visible()
    wait_until(lambda: has_full_sparklines(page), PAST_SECONDS, "full sparklines")
    expect_status(page, "live", "Live")


def has_full_sparklines(page: Page) -> bool:
    """Returns whether each coin that is traded has a sparkline of at least 30 prices. If not, reloads the page."""
    lines = page.evaluate("[...document.querySelectorAll('#quotes [data-values]')].map(line => line.dataset.values)")
    is_full = sum(len(line.split()) >= 30 for line in lines) >= len(LISTED)
    if not is_full:
        page.wait_for_timeout(1000)
        page.reload()
    return is_full


def take_all(photographer: Photographer, kraken: KrakenExchange, send_closes: Callable[[], object]) -> None:
    """`send_closes` is called when the past is fetched, so that the past does not contain the sent closes."""
    photographer.take("live", "Coins", shows_full_sparklines)
    send_closes()
    photographer.take("quiet", "Coins", shows_age(QUIET, "min"))
    photographer.take("unknown", "Coins", shows_age("UNI/USD", "Unknown"))
    if is_open(Market.US_SHARES, time.time_ns() // 1000):
        print("the market for US shares is open: no picture of a closed one", flush=True)
    else:
        photographer.take("closed", "Shares", shows_age("AAPL", "Closed"))
    kraken.set_system("maintenance")
    photographer.take("maintenance", "Coins", shows_status("stale", "Kraken: maintenance"))
    kraken.set_system("online")
    kraken.set_fault("mute")
    photographer.take("silent", "Coins", shows_status("stale", "Kraken: silent"))
    kraken.clear_fault("mute")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    expect.set_options(timeout=TIMEOUT_MS)
    with KrakenExchange(LISTED) as kraken, AlpacaExchange(list(SHARE_PRICES)) as alpaca:
        coins = Coins(kraken)
        coins.make_past()
        rng = Random(2)
        for days in range(30, 0, -1):
            alpaca.trades(make_closes(days, rng), sent=False)
        with LocalStack(kraken, alpaca) as stack, sync_playwright() as playwright:
            browser = launch_browser(playwright)
            photographer = Photographer(browser, stack.address)
            coins.start()
            try:
                photographer.create_lists()
                take_all(photographer, kraken, lambda: alpaca.trades(make_closes(0, rng)))
            finally:
                coins.stop()
                browser.close()


if __name__ == "__main__":
    main()
