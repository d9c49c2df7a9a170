"""Measures how soon an open page reports an outage and recovers: `python -m tests.browser.outages`.

Runs three Kafka brokers, PostgreSQL, Redis, the real commands and a signed-in page in Chromium, and kills one part at a
time. The page logs, by the clock of this machine, when its status, its notice about lists and its prices change.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from playwright.sync_api import Browser, Page, expect, sync_playwright

from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.browser.chromium import launch_browser
from tests.support.browser.site import PASSWORD, STAFF, TICKERS
from tests.support.kafka.brokers import Brokers
from tests.support.kafka.programs import Program
from tests.support.servers.postgres import Postgres
from tests.support.servers.processes import ProcessReaper
from tests.support.waiting import wait_until

PARTS = ("redis", "kafka", "gateway", "database")
TIMEOUT_MS = 90_000
"""Milliseconds, enough for a busy machine. Tests do not assert the delays; `main` measures them."""
LOG_CHANGES = """() => {
    window.neverReloaded = true;
    window.changes = [];
    const log = (change) => window.changes.push([Date.now() / 1000, change]);
    const status = document.getElementById("status");
    new MutationObserver(() => log(status.dataset.state)).observe(status, {attributeFilter: ["data-state"]});
    const outage = document.getElementById("outage");
    const logLists = () => log(outage.hidden ? "lists" : "no lists");
    new MutationObserver(logLists).observe(outage, {attributeFilter: ["hidden"]});
    let loggedAt = 0;
    const cells = {childList: true, characterData: true, subtree: true};
    new MutationObserver((changes) => {
        if (Date.now() - loggedAt < 50 || !changes.some(({target}) =>
            (target.closest ? target : target.parentElement)?.closest("td.last"))) return;
        loggedAt = Date.now();
        log("price");
    }).observe(document.getElementById("board"), cells);
}"""


class System:
    """All parts of the running system. `kill` and `start` take a name from PARTS."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="stockwatch-outages-")))
        self._guard = ProcessReaper(self._folder)
        self._stack.callback(self._guard.close)
        self.brokers = Brokers()
        self._stack.enter_context(self.brokers)
        self.postgres = Postgres()
        self._stack.callback(self.postgres.close)
        self.redis = RedisServer(free_port())
        self._stack.callback(self.redis.close)
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.programs: list[Program] = []

    def open(self) -> None:
        self.redis.start()
        self._guard.watch(self.redis.process.pid)
        self.postgres.create()
        operator = ("createsuperuser", "--noinput", "--username", STAFF, "--email", "")
        for command in (("migrate", "-v0"), ("loaddata", "-v0", str(TICKERS)), operator):
            program = self._run(*command)
            assert program.await_end() == 0, program.lines
        self._run("runkafkagen").wait_for_log("generator ready")
        self._run("runprocessor").wait_for_log("partitions assigned")
        self._start_gateway()

    def _run(self, *command: str) -> Program:
        variables = {
            "APP_ENV": "test",
            "APP_PORT": f"127.0.0.1:{self.port}",
            "DATABASE_URL": self.postgres.address,
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
            "GATEWAY_PROCESSES": "1",
            "KAFKA_BROKERS": self.brokers.addresses,
            "LOGGER_FORMAT": "json",
            "REDIS_ADDR": self.redis.address,
        }
        self.programs.append(Program(self._guard, ["manage.py", *command], variables))
        return self.programs[-1]

    def _start_gateway(self) -> None:
        self.gateway = self._run("rungateway")
        self.gateway.wait_for_log("gateway listening")

    def kill(self, part: str) -> None:
        """Kills all processes of a part at once with SIGKILL."""
        if part == "kafka":
            for node in self.brokers.nodes:
                node.process.kill()
            for node in self.brokers.nodes:
                node.kill()
        elif part == "redis":
            self._guard.forget(self.redis.process.pid)
            self.redis.kill()
        elif part == "gateway":
            self.gateway.kill()
        else:
            self.postgres.kill()

    def start(self, part: str) -> None:
        """Returns when the part answers again; for Kafka, when all three brokers do."""
        if part == "kafka":
            for node in self.brokers.nodes:
                node.start()
            wait_until(self._brokers_answer, 90, "three brokers answer")
        elif part == "redis":
            self.redis.start()
            self._guard.watch(self.redis.process.pid)
        elif part == "gateway":
            self._start_gateway()
        else:
            self.postgres.start()

    def _brokers_answer(self) -> bool:
        # A new client for each call: a client that failed to connect waits before it tries again.
        admin = AdminClient({"bootstrap.servers": self.brokers.addresses, "log_level": 0})
        admin.poll(0)
        try:
            metadata = admin.list_topics("market_ticks", timeout=1)
        except KafkaException:
            return False
        partitions = metadata.topics["market_ticks"].partitions.values()
        return len(metadata.brokers) == 3 and all(len(each.isrs) >= 2 and each.leader > 0 for each in partitions)

    def tracebacks(self) -> list[str]:
        """Log lines of all programs that have a traceback."""
        lines = (line for program in self.programs for line in program.lines)
        return [str(line) for line in lines if "exception" in line or "Traceback" in str(line["event"])]

    def close(self) -> None:
        for program in reversed(self.programs):
            if program.running:
                program.kill()
        self._stack.close()

    def __enter__(self) -> "System":
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Delays:
    """Seconds from the kill until the page reports it, and from the restart until the page has recovered."""

    reported: float
    recovered: float

    def __str__(self) -> str:
        return f"reported {self.reported:4.1f} s after the kill, recovered {self.recovered:4.1f} s after the restart"


class Viewer:
    """A signed-in page. `errors` are console and script errors."""

    def __init__(self, browser: Browser, system: System) -> None:
        self.context = browser.new_context(base_url=system.address)
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto("/sign-in/")
        self.page.get_by_label("Username").fill(STAFF)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.locator("main").get_by_role("button", name="Sign in").click()
        self.page.wait_for_url("**/")
        self.expect_live()
        self.page.evaluate(LOG_CHANGES)

    def expect_live(self) -> None:
        expect(self.page.locator("#status span")).to_have_text("Live", timeout=TIMEOUT_MS)

    def expect_outage(self, part: str) -> None:
        """Waits until the page reports the outage of a part."""
        if part == "database":
            expect(self.page.get_by_text("Lists cannot be changed right now.").first).to_be_visible(timeout=TIMEOUT_MS)
            return
        label = "Reconnecting" if part == "gateway" else "No new prices"
        expect(self.page.locator("#status span")).to_have_text(label, timeout=TIMEOUT_MS)

    def expect_recovered(self) -> None:
        """Waits until the page reports no outage and prices change."""
        self.expect_live()
        expect(self.page.locator("#outage")).to_be_hidden(timeout=TIMEOUT_MS)
        self.expect_new_price()

    def expect_new_price(self) -> None:
        """Waits for a price that changes from now on."""
        count = "() => window.changes.filter(([, change]) => change === 'price').length"
        before = self.page.evaluate(count)
        self.page.wait_for_function(f"before => ({count})() > before", arg=before, timeout=TIMEOUT_MS)

    def change_list(self) -> None:
        """Adds a symbol and removes it again."""
        page = self.page
        page.get_by_role("combobox").fill("ETH/USD")
        page.get_by_role("button", name="Add", exact=True).click()
        row = page.locator('tr[data-symbol="ETH/USD"]')
        expect(row).to_be_visible()
        row.get_by_label("Actions for ETH/USD").click()
        page.get_by_role("button", name="Remove ETH/USD").click()
        expect(row).to_have_count(0)

    def first_change(self, since: float, *changes: str) -> float:
        """The unix time of the first of these changes from `since` on; infinity if there is none."""
        log = self.page.evaluate("window.changes")
        return min((time for time, change in log if change in changes and time >= since), default=float("inf"))

    def close(self) -> None:
        self.context.close()


def break_part(system: System, viewer: Viewer, part: str, during: Callable[[], None] = lambda: None) -> Delays:
    """Kills a part, waits until the page reports it, calls `during`, restarts the part and waits for the recovery."""
    changes = {"database": ["no lists"], "gateway": ["waiting"]}.get(part, ["stale"])
    viewer.expect_recovered()
    killed_at = time.time()
    system.kill(part)
    viewer.expect_outage(part)
    during()
    system.start(part)
    restarted_at = time.time()
    viewer.expect_recovered()
    reported_at = viewer.first_change(killed_at, *changes)
    since, change = (killed_at, "lists") if part == "database" else (killed_at + 0.5, "live")
    recovered_at = max(viewer.first_change(since, change), viewer.first_change(restarted_at, "price"))
    return Delays(reported_at - killed_at, recovered_at - restarted_at)


@contextmanager
def open_system() -> Iterator[tuple[System, Viewer]]:
    """Starts the system, a browser and a page."""
    with System() as system, sync_playwright() as playwright:
        browser = launch_browser(playwright)
        yield system, Viewer(browser, system)
        browser.close()


def main() -> None:
    with open_system() as (system, viewer):
        for run in range(1, 4):
            for part in PARTS:
                print(f"{run}  {part:<9}", break_part(system, viewer, part), flush=True)
                viewer.change_list()
        for line in system.tracebacks():
            print(line)
        print(*sorted(set(viewer.errors)), sep="\n")


if __name__ == "__main__":
    main()
