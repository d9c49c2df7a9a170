"""The whole system on real servers, one of which at a time is killed under an open page.

Three Kafka brokers, PostgreSQL and Redis, the real commands, and a signed-in page in Chromium. The page keeps a diary
by the clock of this machine: when its word changed, when the notice about lists came and went, when a price moved.
`python -m tests.browser.outages` prints how long a person waits.
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

from stockwatch.local.redis_server import RedisServer
from tests.support.browser.chromium import launch_browser
from tests.support.browser.site import PASSWORD, STAFF, TICKERS
from tests.support.kafka.brokers import Brokers
from tests.support.kafka.programs import Program
from tests.support.postgres import Postgres
from tests.support.processes import ProcessReaper, server_port
from tests.support.waiting import wait_until

PARTS = ("redis", "kafka", "gateway", "database")
PATIENCE = 90_000
"""Milliseconds that a busy machine gets; what a person would wait is measured, not asserted."""
DIARY = """() => {
    window.neverReloaded = true;
    window.diary = [];
    const note = (what) => window.diary.push([Date.now() / 1000, what]);
    const status = document.getElementById("status");
    new MutationObserver(() => note(status.dataset.state)).observe(status, {attributeFilter: ["data-state"]});
    const outage = document.getElementById("outage");
    const lists = () => note(outage.hidden ? "lists" : "no lists");
    new MutationObserver(lists).observe(outage, {attributeFilter: ["hidden"]});
    let moved = 0;
    const cells = {childList: true, characterData: true, subtree: true};
    new MutationObserver((changes) => {
        if (Date.now() - moved < 50 || !changes.some(({target}) =>
            (target.closest ? target : target.parentElement)?.closest("td.last"))) return;
        moved = Date.now();
        note("moved");
    }).observe(document.getElementById("board"), cells);
}"""


class Stage:
    """Everything that a page needs, started; `kill` and `start` take the name of a part."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="stockwatch-outages-")))
        self._guard = ProcessReaper(self._folder)
        self._stack.callback(self._guard.close)
        self.brokers = Brokers()
        self._stack.enter_context(self.brokers)
        self.postgres = Postgres()
        self._stack.callback(self.postgres.close)
        self.redis = RedisServer(server_port())
        self._stack.callback(self.redis.close)
        self.port = server_port()
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
        """kill -9, all of it at once."""
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
        """Returns when the server answers again; of the brokers, when all three take part."""
        if part == "kafka":
            for node in self.brokers.nodes:
                node.start()
            wait_until(self._brokers_answer, 90, "three brokers answer; that")
        elif part == "redis":
            self.redis.start()
            self._guard.watch(self.redis.process.pid)
        elif part == "gateway":
            self._start_gateway()
        else:
            self.postgres.start()

    def _brokers_answer(self) -> bool:
        # A client of its own for each question: one that failed to connect would wait before it tries again.
        admin = AdminClient({"bootstrap.servers": self.brokers.addresses, "log_level": 0})
        admin.poll(0)
        try:
            metadata = admin.list_topics("market_ticks", timeout=1)
        except KafkaException:
            return False
        partitions = metadata.topics["market_ticks"].partitions.values()
        return len(metadata.brokers) == 3 and all(len(each.isrs) >= 2 and each.leader > 0 for each in partitions)

    def tracebacks(self) -> list[str]:
        """What any program logged of an error that nobody had met before."""
        lines = (line for program in self.programs for line in program.lines)
        return [str(line) for line in lines if "exception" in line or "Traceback" in str(line["event"])]

    def close(self) -> None:
        for program in reversed(self.programs):
            if program.running:
                program.kill()
        self._stack.close()

    def __enter__(self) -> "Stage":
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Times:
    """Seconds: from the kill to the page's word, and from the return of the server to the page being right again."""

    said: float
    right: float

    def __str__(self) -> str:
        return f"said {self.said:4.1f} s after the kill, right {self.right:4.1f} s after the return"


class Viewer:
    """The signed-in page. `complaints` are its browser's errors."""

    def __init__(self, browser: Browser, stage: Stage) -> None:
        self.context = browser.new_context(base_url=stage.address)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto("/sign-in/")
        self.page.get_by_label("Username").fill(STAFF)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.locator("main").get_by_role("button", name="Sign in").click()
        self.page.wait_for_url("**/")
        self.expect_live()
        self.page.evaluate(DIARY)

    def expect_live(self) -> None:
        expect(self.page.locator("#status span")).to_have_text("Live", timeout=PATIENCE)

    def expect_said(self, part: str) -> None:
        """What a person sees while it is away."""
        if part == "database":
            expect(self.page.get_by_text("Lists cannot be changed right now.").first).to_be_visible(timeout=PATIENCE)
            return
        word = "Reconnecting" if part == "gateway" else "No new prices"
        expect(self.page.locator("#status span")).to_have_text(word, timeout=PATIENCE)

    def expect_right(self) -> None:
        """Nothing says any more that something is away, and prices move."""
        self.expect_live()
        expect(self.page.locator("#outage")).to_be_hidden(timeout=PATIENCE)
        self.expect_moves()

    def expect_moves(self) -> None:
        """Another price, from now on."""
        moves = "() => window.diary.filter(([, what]) => what === 'moved').length"
        before = self.page.evaluate(moves)
        self.page.wait_for_function(f"before => ({moves})() > before", arg=before, timeout=PATIENCE)

    def change_list(self) -> None:
        """Adds a symbol, removes it again: as a person would find out whether lists can be changed."""
        page = self.page
        page.get_by_role("combobox").fill("ETH/USD")
        page.get_by_role("button", name="Add", exact=True).click()
        row = page.locator('tr[data-symbol="ETH/USD"]')
        expect(row).to_be_visible()
        row.get_by_label("Actions for ETH/USD").click()
        page.get_by_role("button", name="Remove ETH/USD").click()
        expect(row).to_have_count(0)

    def first(self, since: float, *what: str) -> float:
        """When one of these was first written down after that time; seconds of the clock."""
        times = [moment for moment, note in self.page.evaluate("window.diary") if note in what and moment >= since]
        return min(times, default=float("inf"))

    def close(self) -> None:
        self.context.close()


def break_part(stage: Stage, viewer: Viewer, part: str, meanwhile: Callable[[], None] = lambda: None) -> Times:
    """Kills a part, waits for the page's word, starts the part, waits until the page is right."""
    words = {"database": ["no lists"], "gateway": ["waiting"]}.get(part, ["stale"])
    viewer.expect_right()
    killed = time.time()
    stage.kill(part)
    viewer.expect_said(part)
    meanwhile()
    stage.start(part)
    back = time.time()
    viewer.expect_right()
    healed = [viewer.first(killed, "lists")] if part == "database" else [viewer.first(killed + 0.5, "live")]
    return Times(viewer.first(killed, *words) - killed, max(*healed, viewer.first(back, "moved")) - back)


@contextmanager
def open_stage() -> Iterator[tuple[Stage, Viewer]]:
    """For the command: with a browser of its own."""
    with Stage() as stage, sync_playwright() as playwright:
        browser = launch_browser(playwright)
        yield stage, Viewer(browser, stage)
        browser.close()


def main() -> None:
    with open_stage() as (stage, viewer):
        for turn in range(1, 4):
            for part in PARTS:
                print(f"{turn}  {part:<9}", break_part(stage, viewer, part), flush=True)
                viewer.change_list()
        for line in stage.tracebacks():
            print(line)
        print(*sorted(set(viewer.complaints)), sep="\n")


if __name__ == "__main__":
    main()
