"""The stream that pages share: when it is requested, and which updates each page gets."""

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.support.browser.modules import run_module

pytestmark = pytest.mark.browser

HARNESS = """
let now = 0;
let timers = [];
const sweeps = [];
const requests = [];
performance.now = () => now;
window.setTimeout = (callback, delay) => timers.push({ callback, at: now + delay });
window.clearTimeout = (number) => { if (number) timers[number - 1] = null; };
window.setInterval = (callback) => sweeps.push(callback);
const settle = async () => { for (let turn = 0; turn < 50; turn++) await null; };
const wait = async (milliseconds) => {
  const until = now + milliseconds;
  for (;;) {
    const due = timers.filter((timer) => timer && timer.at <= until).sort((one, other) => one.at - other.at)[0];
    if (!due) break;
    timers[timers.indexOf(due)] = null;
    now = due.at;
    due.callback();
    await settle();
  }
  now = until;
};
window.fetch = (address, { signal }) => new Promise((resolve, reject) => {
  const query = new URL(address, location.href).searchParams;
  const request = { symbols: query.get("symbols"), isStopped: false };
  signal.addEventListener("abort", () => {
    request.isStopped = true;
    reject(signal.reason);
  });
  request.open = async () => {
    const headers = { "Content-Type": "text/event-stream" };
    resolve(new Response(new ReadableStream({ start: (controller) => (request.body = controller) }), { headers }));
    await request.send("retry: 1000\\n\\n");
  };
  request.send = async (text) => {
    request.body.enqueue(new TextEncoder().encode(text));
    await settle();
  };
  request.price = (symbol, price, number) => {
    const data = JSON.stringify({ symbol, price, timestamp: number, seq_id: number });
    return request.send(`event: update\\nid: ${number}\\ndata: ${data}\\n\\n`);
  };
  request.end = async () => {
    request.body.close();
    await settle();
  };
  request.refuse = async (status, body = {}, headers = {}) => {
    resolve({ status, ok: status === 200, headers: new Headers(headers), json: async () => body });
    await settle();
  };
  requests.push(request);
});
const stream = new module.SharedStream();
const openPage = () => {
  const page = { prices: [], frames: [], times: [] };
  const port = {
    postMessage({ updates = [], frames = [], time, isLive, failures }) {
      page.frames.push(...frames);
      for (const update of updates) page.prices.push([update.symbol, update.price]);
      if (time !== undefined) page.times.push(time);
      if (isLive !== undefined) page.state = [isLive, failures];
    },
  };
  stream.accept(port);
  page.ask = (symbols, isCheck = false) => port.onmessage({ data: { symbols, isCheck } });
  return page;
};
const openAsking = async (symbols) => {
  const page = openPage();
  page.ask(symbols);
  await wait(100);
  return page;
};
const openLive = async (symbols) => {
  const page = await openAsking(symbols);
  await requests[0].open();
  return page;
};
const asked = () => requests.map((request) => request.symbols);
"""


def run_stream(page: Page, body: str, argument: Any = None) -> Any:
    """Runs JavaScript beside a shared stream whose pages, requests and clock are fakes."""
    return run_module(page, "stream", HARNESS + body, argument)


def test_pages_that_open_at_once_share_one_request(page: Page):
    body = """
    const [one, other] = [openPage(), openPage()];
    one.ask(["A", "B"]);
    other.ask(["B", "C"]);
    await wait(100);
    const before = [one.state, other.state];
    await requests[0].open();
    for (const symbol of ["A", "B", "C"]) await requests[0].price(symbol, 5, 1);
    return [asked(), before, one.state, one.prices, other.prices];
    """
    live = [True, 0]
    assert run_stream(page, body) == [
        ["A,B,C"],
        [[False, 0]] * 2,
        live,
        [["A", 5], ["B", 5]],
        [["B", 5], ["C", 5]],
    ]


def test_a_page_that_opens_later_gets_the_known_prices_at_once(page: Page):
    body = """
    const [one, other] = [openPage(), openPage()];
    one.ask(["A"]);
    await wait(100);
    await requests[0].open();
    await requests[0].price("A", 5, 1);
    other.ask(["A"]);
    return [asked(), other.state, other.prices];
    """
    assert run_stream(page, body) == [["A"], [True, 0], [["A", 5]]]


def test_a_stream_is_replaced_only_when_the_next_one_has_begun(page: Page):
    body = """
    const one = await openLive(["A"]);
    one.ask(["A", "B"]);
    await wait(100);
    await requests[0].price("A", 5, 1);
    const between = [one.state, requests[0].isStopped];
    await requests[1].open();
    await requests[1].price("A", 5, 1);
    await requests[1].price("B", 6, 1);
    return [asked(), between, one.state, requests[0].isStopped, one.prices];
    """
    assert run_stream(page, body) == [
        ["A", "A,B"],
        [[False, 0], False],
        [True, 0],
        True,
        [["A", 5], ["B", 6]],
    ]


def test_a_refused_replacement_leaves_the_stream_and_is_not_repeated_early(page: Page):
    body = """
    const one = await openLive(["A"]);
    one.ask(["A", "B"]);
    await wait(100);
    await requests[1].refuse(429, {}, { "Retry-After": "3" });
    one.ask(["A", "B"]);
    await wait(2900);
    const early = requests.length;
    await wait(200);
    return [early, requests.length, requests[0].isStopped, one.state];
    """
    assert run_stream(page, body) == [2, 3, False, [False, 1]]


def test_symbols_that_the_server_does_not_know_are_left_out_for_a_minute(page: Page):
    body = """
    const one = await openAsking(["A", "X"]);
    await requests[0].refuse(404, { symbols: ["X"] });
    await wait(100);
    await requests[1].open();
    const state = one.state;
    for (let sweep = 0; sweep < 12; sweep++) {
      one.ask(["A", "X"]);
      for (const callback of sweeps) callback();
      await wait(100);
    }
    return [asked(), state, requests[1].isStopped];
    """
    assert run_stream(page, body) == [["A,X", "A", "A,X"], [True, 0], False]


def test_an_answer_that_names_other_symbols_as_unknown_is_a_failure(page: Page):
    body = """
    const one = await openAsking(["A"]);
    await requests[0].refuse(404, { symbols: ["B"] });
    const known = one.state;
    await wait(1000);
    await requests[1].refuse(404, null);
    return [requests.length, known, one.state];
    """
    assert run_stream(page, body) == [2, [False, 1], [False, 2]]


@pytest.mark.parametrize("how", ["silent", "other content"])
def test_a_request_that_brings_no_events_fails(page: Page, how: str):
    body = """
    const one = await openAsking(["A"]);
    if (given === "silent") await wait(5000);
    else await requests[0].refuse(200);
    return [requests[0].isStopped, one.state];
    """
    assert run_stream(page, body, how) == [True, [False, 2 if how == "silent" else 1]]


def test_a_stream_that_becomes_silent_is_requested_again(page: Page):
    body = """
    const one = await openLive(["A"]);
    await wait(14000);
    await requests[0].send(":\\n\\n");
    await wait(14000);
    const before = requests.length;
    await wait(2000);
    return [before, requests.length, requests[0].isStopped, one.state];
    """
    assert run_stream(page, body) == [1, 2, True, [False, 0]]


def test_a_stream_that_ends_at_once_each_time_is_requested_less_and_less_often(page: Page):
    body = """
    const one = openPage();
    one.ask(["A"]);
    for (let round = 0; round < 60; round++) {
      const { length } = requests;
      await wait(1000);
      if (requests.length === length) continue;
      await requests.at(-1).open();
      await requests.at(-1).end();
    }
    return requests.length;
    """
    assert 5 <= run_stream(page, body) <= 12


def test_the_symbols_of_a_page_that_has_left_are_dropped_after_a_while(page: Page):
    body = """
    const [one, other] = [openPage(), openPage()];
    one.ask(["A"]);
    other.ask(["B"]);
    await wait(100);
    await requests[0].open();
    other.ask([]);
    await wait(1000);
    const before = requests.length;
    await wait(1500);
    await requests[1].open();
    one.ask([]);
    await wait(2500);
    return [before, asked(), requests[0].isStopped, requests[1].isStopped];
    """
    assert run_stream(page, body) == [1, ["A,B", "A"], True, True]


def test_a_page_that_says_nothing_any_more_is_forgotten(page: Page):
    body = """
    const one = await openLive(["A"]);
    for (let sweep = 0; sweep < 7; sweep++) for (const callback of sweeps) callback();
    await wait(2500);
    const stopped = requests[0].isStopped;
    one.ask(["A"]);
    await wait(100);
    return [stopped, asked()];
    """
    assert run_stream(page, body) == [True, ["A", "A"]]


def test_a_check_requests_the_stream_again_without_a_wait(page: Page):
    body = """
    const one = await openAsking(["A"]);
    await requests[0].refuse(503, {}, { "Retry-After": "60" });
    one.ask(["A"], true);
    one.ask(["A"], true);
    return asked();
    """
    assert run_stream(page, body) == ["A", "A"]


def test_pages_with_more_symbols_than_an_address_can_name_are_told(page: Page):
    body = """
    const [one, other] = [openPage(), openPage()];
    one.ask(["A"]);
    other.ask(Array.from({ length: 1000 }, (_, number) => `LONG${number}`));
    await wait(100);
    await requests[0].open();
    return [requests[0].symbols.length < 7000, one.state, other.state[0], other.state[1] > 1000];
    """
    assert run_stream(page, body) == [True, [True, 0], False, True]


def test_heartbeats_tell_the_time_and_odd_events_are_ignored(page: Page):
    body = """
    const one = await openLive(["A"]);
    for (const text of given) await requests[0].send(text);
    return [one.times, one.prices, requests[0].isStopped];
    """
    events = [
        ":\n\n",
        "event: update\ndata: {\n\n",
        "event: update\ndata: null\n\n",
        'event: update\ndata: {"symbol":"B","price":1}\n\n',
        "data: 5\n\n",
        'event: update\ndata: {"symbol":"A",\ndata: "price":7,"timestamp":1,"seq_id":1}\n\n',
        'event: heartbeat\ndata: {"timestamp":2000,',
        '"n":1}\n\n',
    ]
    assert run_stream(page, body, events) == [[2], [["A", 7]], False]


def test_each_page_gets_the_frames_about_tickers_sources_and_lists(page: Page):
    body = """
    const [one, other] = [openPage(), openPage()];
    one.ask(["A"]);
    await wait(100);
    await requests[0].open();
    for (const frame of given) await requests[0].send(`event: frame\\ndata: ${JSON.stringify(frame)}\\n\\n`);
    other.ask(["A"]);
    return [one.frames, other.frames];
    """
    available, unavailable = ({"type": "service", "lists": lists} for lists in (True, False))
    tickers = [{"type": "ticker", "symbol": "A", "name": name} for name in ("Old", "New")]
    feed = {"type": "feed", "source": "binance"}
    alert = {"type": "alert", "symbol": "A"}
    assert run_stream(page, body, [unavailable, *tickers, feed, alert]) == [
        [available, unavailable, *tickers, feed, alert],
        [unavailable, tickers[1], feed],
    ]
