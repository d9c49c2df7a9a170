"""Measures the page in a browser: `make bench-page`, or `python -m tests.bench.page [SECONDS]`.

Traces the real page on the real server. A separate process publishes the updates. There are four measurements:

- a page of 200 rows with 10 updates a second each
- the same page with an animation in every frame
- the network traffic of a page of 50 rows
- the cost of the first paint (tests.bench.page.paint)

Prints a table of the results with their limits and writes `build/bench-page.json`.
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
from tests.bench.page.trace import CATEGORIES, LONG, Trace, join_traces, read_trace
from tests.bench.serving import ROOT
from tests.support.browser.chromium import launch_browser
from tests.support.browser.market import put_bars
from tests.support.browser.site import Site

SECONDS = 60
MANY_ROWS, FEW_ROWS, HERTZ = 200, 50, 10
VIEWPORT = {"width": 1360, "height": 860}
SETTLE_SECONDS = 5
"""The wait for the first subscription and for the compilation of the scripts, in seconds."""
GARBAGE_COLLECTIONS = 5
"""How often the heap is measured, each time after garbage collection.

The smallest value counts, because new updates arrive between a collection and a measurement.
"""

ANIMATION = """
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
"""A script that draws in every frame.

Without the script, the page draws at most ten frames a second.
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the printed table.

    The value is within its limits if it is at most `maximum` and at least `minimum`.
    """

    name: str
    value: float
    format: str
    maximum: float | None = None
    minimum: float | None = None

    @property
    def is_within_limits(self) -> bool:
        is_too_large = self.maximum is not None and self.value > self.maximum
        return not is_too_large and (self.minimum is None or self.value >= self.minimum)

    @property
    def line(self) -> str:
        limit = f"<= {self.maximum:g}" if self.maximum is not None else ""
        if self.minimum is not None:
            limit = f">= {self.minimum:g}"
        return f"{self.name:52}{self.value:>12{self.format}}{limit:>10}{'' if self.is_within_limits else '  MISSED'}"


@dataclass(frozen=True, slots=True)
class Memory:
    """The heap of the scripts in megabytes, and the number of nodes of the document, after garbage collection."""

    heap: float
    nodes: int


class Traffic:
    """Counts the bytes and messages that the sockets of a page receive.

    The bytes include the overhead of frames and packets.
    """

    def __init__(self, page: Page) -> None:
        self.bytes = self.messages = 0
        page.on("websocket", self._watch)

    def _watch(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._count)

    def _count(self, payload: str | bytes) -> None:
        length = len(payload)
        self.messages += 1
        # A WebSocket header has 2 or 4 bytes. TCP and IP add 52 bytes to each packet of 1,448 bytes.
        self.bytes += length + (2 if length < 126 else 4) + 52 * -(-length // 1448)


class BenchSite:
    """The site with tickers S0, S1, …, and a browser."""

    def __init__(self, site: Site, browser: Browser) -> None:
        self._site = site
        self._browser = browser

    def prepare(self) -> None:
        symbols = [f"S{number}" for number in range(MANY_ROWS)]
        tickers = [{"symbol": symbol, "name": f"Company of {symbol}", "base_price": 148.5} for symbol in symbols]
        rows = [{"model": "feeds.ticker", "pk": 1000 + row, "fields": fields} for row, fields in enumerate(tickers)]
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(rows, file)
            file.flush()
            self._site.manage("loaddata", "--verbosity", "0", file.name)
        put_bars(self._site.redis, dict.fromkeys(symbols, 150.12))

    @contextmanager
    def feed(self) -> Iterator[None]:
        """Publishes random walks until the `with` block ends."""
        arguments = [str(self._site.redis_port), str(MANY_ROWS), str(HERTZ), "86400", "walk"]
        publisher = subprocess.Popen([sys.executable, "-m", "tests.bench.publisher", *arguments], cwd=ROOT)
        try:
            yield
        finally:
            end(publisher)

    @contextmanager
    def page(self, rows: int) -> Iterator[tuple[Page, Traffic]]:
        """Opens the page of a visitor with `rows` rows. Waits until the page is live, and then for SETTLE_SECONDS."""
        context = self._browser.new_context(base_url=self._site.address, viewport=VIEWPORT)
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
        page.wait_for_timeout(SETTLE_SECONDS * 1000)
        yield page, traffic
        context.close()

    def trace(self, page: Page, seconds: float) -> Trace:
        self._browser.start_tracing(page=page, categories=list(CATEGORIES))
        page.wait_for_timeout(seconds * 1000)
        return read_trace(self._browser.stop_tracing())


def read_memory(page: Page) -> Memory:
    session = page.context.new_cdp_session(page)
    heap = inf
    for _ in range(GARBAGE_COLLECTIONS):
        session.send("HeapProfiler.collectGarbage")
        heap = min(heap, session.send("Runtime.getHeapUsage")["usedSize"] / 1e6)
        page.wait_for_timeout(100)
    nodes = session.send("Memory.getDOMCounters")["nodes"]
    session.detach()
    return Memory(heap, nodes)


def measure_rows(bench: BenchSite, seconds: float) -> tuple[Trace, list[Memory]]:
    """Measures a page in two halves. Collects garbage between the halves. The trace does not contain the collection."""
    with bench.page(MANY_ROWS) as (page, _):
        memory = [read_memory(page)]
        first = bench.trace(page, seconds / 2)
        memory.append(read_memory(page))
        second = bench.trace(page, seconds / 2)
        memory.append(read_memory(page))
    return join_traces(first, second), memory


def measure_frames(bench: BenchSite, seconds: float) -> Trace:
    with bench.page(MANY_ROWS) as (page, _):
        page.evaluate(ANIMATION)
        return bench.trace(page, seconds)


def measure_traffic(bench: BenchSite, seconds: float) -> dict[str, float]:
    with bench.page(FEW_ROWS) as (page, traffic):
        before = traffic.bytes, traffic.messages
        page.wait_for_timeout(seconds * 1000)
        received, messages = traffic.bytes - before[0], traffic.messages - before[1]
    return {"mb_an_hour": received / seconds * 3600 / 1e6, "messages_s": messages / seconds}


def measure_paint() -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.page.paint", str(FEW_ROWS)]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    figures: dict[str, Any] = json.loads(output.splitlines()[-1])
    return figures


def list_figures(
    paint: dict[str, Any], still: Trace, moving: Trace, memory: list[Memory], traffic: dict[str, float]
) -> list[Figure]:
    return [
        Figure(f"{FEW_ROWS} rows: HTML, KB", paint["html_bytes"] / 1e3, ".1f"),
        Figure(f"{FEW_ROWS} rows: HTML after gzip -6, KB", paint["html_gzip_bytes"] / 1e3, ".1f", maximum=60),
        Figure(f"{FEW_ROWS} rows: rendering, ms of CPU, median of 30", paint["render_ms"], ".1f", maximum=8),
        Figure(f"{FEW_ROWS} rows: queries", paint["queries"], "d", maximum=8),
        Figure("scripts before a chart is opened, gzip -6, KiB", paint["script_gzip_bytes"] / 1024, ".1f", maximum=44),
        Figure(f"{FEW_ROWS} rows: received, MB an hour", traffic["mb_an_hour"], ".1f", maximum=60),
        Figure(f"{FEW_ROWS} rows: messages/s", traffic["messages_s"], ".1f"),
        Figure(f"{MANY_ROWS} rows x {HERTZ}/s: tasks over {LONG:.0f} ms", len(still.long), "d", maximum=0),
        Figure("  longest task by the clock, ms", still.longest.wall, ".1f"),
        Figure("  longest task by CPU, ms", still.busiest.cpu, ".1f", maximum=LONG),
        Figure("  main thread, % of a core", still.share * 100, ".1f", maximum=25),
        Figure("  frames/s drawn for prices", still.rate, ".1f"),
        Figure("  heap of scripts at the start, MB", memory[0].heap, ".2f"),
        Figure("  in the middle", memory[1].heap, ".2f"),
        Figure("  at the end", memory[2].heap, ".2f", maximum=round(memory[0].heap * 1.1, 2)),
        Figure("  nodes of the document, start", memory[0].nodes, "d"),
        Figure("  end", memory[2].nodes, "d", maximum=memory[0].nodes + 50),
        Figure("with something to draw in every frame: frames/s", moving.rate, ".1f", minimum=30),
        Figure(f"  tasks over {LONG:.0f} ms", len(moving.long), "d", maximum=0),
        Figure("  longest task by CPU, ms", moving.busiest.cpu, ".1f", maximum=LONG),
        Figure("  main thread, % of a core", moving.share * 100, ".1f", maximum=25),
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
            bench = BenchSite(site, browser)
            bench.prepare()
            with bench.feed():
                still, memory = measure_rows(bench, seconds)
                moving = measure_frames(bench, seconds)
                traffic = measure_traffic(bench, seconds)
            version = browser.version
            browser.close()
    finally:
        site.close()
    figures = list_figures(paint, still, moving, memory, traffic)
    print(*(figure.line for figure in figures), sep="\n")
    for trace in (still, moving):
        for task in trace.long or [trace.longest]:
            print(f"{'long' if trace.long else 'longest'}: {task.words}")
    machine = f"{platform.platform()}, {os.cpu_count()} cores, Chromium {version}"
    loads = f"load {load:.1f} before, {os.getloadavg()[0]:.1f} after"
    print(f"{commit()}; {machine}; {loads}")
    result = {"commit": commit(), "machine": machine, "load": loads, "seconds": seconds, "paint": paint}
    result |= {"figures": [asdict(figure) | {"fits": figure.is_within_limits} for figure in figures]}
    result |= {"long": [asdict(task) for task in [*still.long, *moving.long]]}
    (BUILD / "bench-page.json").write_text(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS))
