"""The page in figures: `make bench-page`, or `python -m tests.bench.page [SECONDS]`.

A browser's own tracing of the real page on the real server, fed by a process of its own: 200 rows, each with 10 updates
a second; the same with something to draw in every frame; what 50 rows receive; and, by `tests.bench.paint`, what the
first paint costs. Beside each figure stands what is required. Prints a table and writes `build/bench-page.json`.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import inf
from typing import Any

from playwright.sync_api import Browser, Page, WebSocket, expect, sync_playwright

from tests.bench.gateway import BUILD, commit, end
from tests.bench.serving import ROOT
from tests.bench.trace import CATEGORIES, LONG_TASK_MS, Trace, join_traces, read_trace
from tests.support.browser.chromium import launch_browser
from tests.support.browser.market import put_bars
from tests.support.browser.site import Site

SECONDS = 60
ROWS, FEW, HERTZ = 200, 50, 10
DESK = {"width": 1360, "height": 860}
SETTLE = 5
"""Seconds after the load that belong to it: the first subscription, code that is compiled."""
COLLECTIONS = 5
"""Of garbage, before a heap is read: one leaves what the socket brought meanwhile."""

DOT = """
() => {
  const dot = document.body.appendChild(document.createElement("div"));
  Object.assign(dot.style, { position: "fixed", top: 0, width: "4px", height: "4px", background: "red" });
  dot.style.willChange = "transform";
  const move = (now) => {
    dot.style.transform = `translateX(${Math.floor(now / 8) % 40}px)`;
    requestAnimationFrame(move);
  };
  requestAnimationFrame(move);
}
"""
"""Something to draw in every frame: by itself the page draws when prices do, ten times a second at most."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table; `most` or `least` is what is required of it, None: nothing."""

    name: str
    value: float
    form: str
    most: float | None = None
    least: float | None = None

    @property
    def fits(self) -> bool:
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)

    @property
    def line(self) -> str:
        need = f"<= {self.most:g}" if self.most is not None else f">= {self.least:g}" if self.least is not None else ""
        return f"{self.name:52}{self.value:>12{self.form}}{need:>10}{'' if self.fits else '  MISSED'}"


@dataclass(frozen=True, slots=True)
class Memory:
    """After a collection of garbage: megabytes of the heap of scripts, and nodes of the document."""

    heap: float
    nodes: int


class Traffic:
    """What a page's sockets received. The browser tells how long messages are; their framing is added here."""

    def __init__(self, page: Page) -> None:
        self.bytes = self.messages = 0
        page.on("websocket", self._hear)

    def _hear(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._count)

    def _count(self, payload: str | bytes) -> None:
        length = len(payload)
        self.messages += 1
        # A WebSocket header of two bytes or four; 52 bytes of TCP and IP in each packet, which carries 1,448.
        self.bytes += length + (2 if length < 126 else 4) + 52 * -(-length // 1448)


class Stage:
    """The site with tickers S0, S1, …, and a browser."""

    def __init__(self, site: Site, browser: Browser) -> None:
        self._site = site
        self._browser = browser

    def prepare(self) -> None:
        symbols = [f"S{number}" for number in range(ROWS)]
        facts = [{"symbol": symbol, "name": f"Company of {symbol}", "base_price": 148.5} for symbol in symbols]
        rows = [{"model": "feeds.ticker", "pk": 1000 + place, "fields": each} for place, each in enumerate(facts)]
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(rows, file)
            file.flush()
            self._site.manage("loaddata", "--verbosity", "0", file.name)
        put_bars(self._site.redis, dict.fromkeys(symbols, 150.12))

    @contextmanager
    def feed(self) -> Iterator[None]:
        """Prices that walk, for as long as it is open."""
        command = [sys.executable, "-m", "tests.bench.publisher", str(self._site.redis_port), str(ROWS), str(HERTZ)]
        feed = subprocess.Popen([*command, "86400", "walk"], cwd=ROOT)
        try:
            yield
        finally:
            end(feed)

    @contextmanager
    def page(self, rows: int) -> Iterator[tuple[Page, Traffic]]:
        """A visitor's page with so many rows, loaded and settled."""
        context = self._browser.new_context(base_url=self._site.address, viewport=DESK)
        page = context.new_page()
        traffic = Traffic(page)
        page.goto("/")
        page.get_by_role("button", name="Start with an empty list").click()
        expect(page.get_by_role("heading", name="This list is empty")).to_be_visible()
        page.get_by_role("combobox").fill(" ".join(f"S{number}" for number in range(rows)))
        page.get_by_role("combobox").press("Enter")
        expect(page.locator("#quotes tbody tr")).to_have_count(rows)
        page.reload()
        expect(page.locator("#status")).to_have_attribute("data-state", "live")
        page.wait_for_timeout(SETTLE * 1000)
        yield page, traffic
        context.close()

    def trace(self, page: Page, seconds: float) -> Trace:
        self._browser.start_tracing(page=page, categories=list(CATEGORIES))
        page.wait_for_timeout(seconds * 1000)
        return read_trace(self._browser.stop_tracing())


def weigh(page: Page) -> Memory:
    session = page.context.new_cdp_session(page)
    heap = inf
    for _ in range(COLLECTIONS):
        session.send("HeapProfiler.collectGarbage")
        heap = min(heap, session.send("Runtime.getHeapUsage")["usedSize"] / 1e6)
        page.wait_for_timeout(100)
    nodes = session.send("Memory.getDOMCounters")["nodes"]
    session.detach()
    return Memory(heap, nodes)


def measure_rows(stage: Stage, seconds: float) -> tuple[Trace, list[Memory]]:
    """In two halves: the garbage that is collected between them is no task of the page."""
    with stage.page(ROWS) as (page, _):
        weights = [weigh(page)]
        first = stage.trace(page, seconds / 2)
        weights.append(weigh(page))
        second = stage.trace(page, seconds / 2)
        weights.append(weigh(page))
    return join_traces(first, second), weights


def measure_frames(stage: Stage, seconds: float) -> Trace:
    with stage.page(ROWS) as (page, _):
        page.evaluate(DOT)
        return stage.trace(page, seconds)


def measure_traffic(stage: Stage, seconds: float) -> dict[str, float]:
    with stage.page(FEW) as (page, traffic):
        before = traffic.bytes, traffic.messages
        page.wait_for_timeout(seconds * 1000)
        received, messages = traffic.bytes - before[0], traffic.messages - before[1]
    return {"mb_an_hour": received / seconds * 3600 / 1e6, "messages_s": messages / seconds}


def measure_paint() -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.paint", str(FEW)]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    figures: dict[str, Any] = json.loads(output.splitlines()[-1])
    return figures


def list_figures(
    paint: dict[str, Any], still: Trace, moving: Trace, weights: list[Memory], traffic: dict[str, float]
) -> list[Figure]:
    return [
        Figure(f"{FEW} rows: HTML, KB", paint["html_bytes"] / 1e3, ".1f"),
        Figure(f"{FEW} rows: HTML after gzip -6, KB", paint["html_gzip_bytes"] / 1e3, ".1f", most=60),
        Figure(f"{FEW} rows: rendering, ms of CPU, median of 30", paint["render_ms"], ".1f", most=30),
        Figure(f"{FEW} rows: queries", paint["queries"], "d", most=8),
        Figure("scripts before a chart is opened, gzip -6, KB", paint["script_gzip_bytes"] / 1e3, ".1f", most=40),
        Figure(f"{FEW} rows: received, MB an hour", traffic["mb_an_hour"], ".1f", most=60),
        Figure(f"{FEW} rows: messages/s", traffic["messages_s"], ".1f"),
        Figure(f"{ROWS} rows x {HERTZ}/s: tasks over {LONG_TASK_MS:.0f} ms", len(still.long), "d", most=0),
        Figure("  longest task by the clock, ms", still.longest.wall, ".1f"),
        Figure("  longest task by CPU, ms", still.busiest.cpu, ".1f", most=LONG_TASK_MS),
        Figure("  main thread, % of a core", still.share * 100, ".1f", most=25),
        Figure("  frames/s drawn for prices", still.rate, ".1f"),
        Figure("  heap of scripts at the start, MB", weights[0].heap, ".2f"),
        Figure("  in the middle", weights[1].heap, ".2f"),
        Figure("  at the end", weights[2].heap, ".2f", most=round(weights[0].heap * 1.1, 2)),
        Figure("  nodes of the document, start", weights[0].nodes, "d"),
        Figure("  end", weights[2].nodes, "d", most=weights[0].nodes + 50),
        Figure("with something to draw in every frame: frames/s", moving.rate, ".1f", least=30),
        Figure(f"  tasks over {LONG_TASK_MS:.0f} ms", len(moving.long), "d", most=0),
        Figure("  longest task by CPU, ms", moving.busiest.cpu, ".1f", most=LONG_TASK_MS),
        Figure("  main thread, % of a core", moving.share * 100, ".1f", most=25),
    ]


def main(seconds: float) -> int:
    BUILD.mkdir(exist_ok=True)
    load = os.getloadavg()[0]
    paint = measure_paint()
    site = Site()
    try:
        site.start()
        with sync_playwright() as playwright:
            browser = launch_browser(playwright)
            stage = Stage(site, browser)
            stage.prepare()
            with stage.feed():
                still, weights = measure_rows(stage, seconds)
                moving = measure_frames(stage, seconds)
                traffic = measure_traffic(stage, seconds)
            version = browser.version
            browser.close()
    finally:
        site.close()
    figures = list_figures(paint, still, moving, weights, traffic)
    print(*(figure.line for figure in figures), sep="\n")
    for trace in (still, moving):
        for task in trace.long or [trace.longest]:
            print(f"{'long' if trace.long else 'longest'}: {task.description}")
    machine = f"{platform.platform()}, {os.cpu_count()} cores, Chromium {version}"
    loads = f"load {load:.1f} before, {os.getloadavg()[0]:.1f} after"
    print(f"{commit()}; {machine}; {loads}")
    result = {"commit": commit(), "machine": machine, "load": loads, "seconds": seconds, "paint": paint}
    result |= {"figures": [asdict(figure) | {"fits": figure.fits} for figure in figures]}
    result |= {"long": [asdict(task) for task in [*still.long, *moving.long]]}
    (BUILD / "bench-page.json").write_text(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS))
