"""The modules that connect: the socket, polling, and the status that they set."""

import json

import pytest
from playwright.sync_api import Page

from tests.support.browser.modules import run_module

pytestmark = pytest.mark.browser


def test_the_retry_delay_doubles_up_to_a_maximum_and_half_of_it_is_random(page: Page):
    body = """
    return [0, 1, 2, 3, 4, 5, 50].map((attempt) => [module.retryDelay(attempt, 0), module.retryDelay(attempt, 1)]);
    """
    assert run_module(page, "socket", body) == [
        [250, 500],
        [500, 1000],
        [1000, 2000],
        [2000, 4000],
        [2500, 5000],
        [2500, 5000],
        [2500, 5000],
    ]


def test_a_longer_list_asks_for_fewer_updates_a_second(page: Page):
    counts = [1, 42, 43, 50, 56, 57, 200]
    assert run_module(page, "socket", "return given.map(module.updateRate);", counts) == [4, 4, 3, 3, 3, 2, 2]


def test_close_codes_from_4500_to_4999_forbid_to_reconnect(page: Page):
    codes = [1000, 1001, 1006, 1013, 4001, 4012, 4499, 4500, 4501, 4999]
    assert run_module(page, "socket", "return given.map(module.mayReconnect);", codes) == [True] * 7 + [False] * 3


def test_a_refused_client_does_not_reconnect(page: Page):
    body = """
    const states = [];
    const sockets = [];
    window.WebSocket = class { constructor() { sockets.push(this); } close() {} send() {} };
    const socket = new module.PriceSocket("ws://x", { onState: (state) => states.push(state) });
    socket.setSymbols(["A"]);
    sockets[0].onclose({ code: 4501 });
    socket.check();
    return [states, sockets.length];
    """
    assert run_module(page, "socket", body) == [
        [{"name": "connecting", "isRetry": False}, {"name": "refused", "code": 4501}],
        1,
    ]


FAKE_SOCKETS = """
const sockets = [];
window.WebSocket = class {
  static OPEN = 1;
  readyState = 1;
  constructor() { sockets.push(this); }
  close() {}
  send() {}
};
"""

MOVES = (
    FAKE_SOCKETS
    + """
const states = [];
const timers = [];
window.setTimeout = (callback) => timers.push(callback);
const socket = new module.PriceSocket("ws://x", { onState: (state) => states.push(state.name) });
const accept = (number) => {
  sockets[number].onopen();
  sockets[number].onmessage({ data: '{"type":"ack","id":"s1"}' });
};
const runTimers = () => { for (const callback of timers.splice(0)) callback(); };
socket.setSymbols(["A"]);
accept(0);
timers.length = 0;
for (const step of given) {
  if (step === "accept") accept(sockets.length - 1);
  else sockets.at(-1).onclose({ code: step });
  if (step !== "accept") runTimers();
}
return states.slice(2);
"""
)


def test_a_client_that_is_moved_to_another_process_reports_no_loss(page: Page):
    assert run_module(page, "socket", MOVES, [4001, "accept", 4001]) == ["moving", "live", "moving"]


def test_a_move_whose_first_attempt_fails_is_reported(page: Page):
    assert run_module(page, "socket", MOVES, [4001, 1006, 4001]) == [
        "moving",
        "waiting",
        "connecting",
        "waiting",
        "connecting",
    ]


def test_a_suspended_client_that_lost_its_connection_reconnects_when_it_resumes(page: Page):
    body = """
    const states = [];
    const sockets = [];
    const timers = [];
    window.setTimeout = (callback) => timers.push(callback);
    window.clearTimeout = (number) => (timers[number - 1] = () => {});
    window.WebSocket = class { static OPEN = 1; constructor() { sockets.push(this); } close() {} send() {} };
    const socket = new module.PriceSocket("ws://x", { onState: (state) => states.push(state.name) });
    socket.setSymbols(["A"]);
    sockets[0].onclose({ code: 1006 });
    socket.suspend();
    socket.check();
    for (const callback of [...timers]) callback();
    const whileSuspended = sockets.length;
    socket.resume();
    sockets[1].onclose({ code: 1006 });
    socket.suspend();
    sockets[1].onclose?.({ code: 1006 });
    return [whileSuspended, sockets.length, states];
    """
    assert run_module(page, "socket", body) == [1, 2, ["connecting", "waiting", "connecting", "waiting"]]


def test_a_poller_that_was_restarted_ignores_the_answer_to_its_first_request(page: Page):
    body = """
    const timers = [];
    const answers = [];
    window.setTimeout = (callback) => timers.push(callback);
    window.clearTimeout = () => {};
    const response = { ok: true, json: () => ({ quotes: [] }) };
    window.fetch = () => new Promise((resolve) => answers.push(() => resolve(response)));
    const poller = new module.Poller({ onUpdate() {}, onResult() {} });
    poller.start(["A"]);
    poller.stop();
    poller.start(["A"]);
    for (const answer of answers) answer();
    for (let turn = 0; turn < 20; turn++) await null;
    return [answers.length, timers.length];
    """
    assert run_module(page, "poller", body) == [2, 1]


STATUS = """
const pill = document.createElement("p");
pill.innerHTML = "<span></span><small></small>";
const announcer = document.createElement("p");
announcer.innerHTML = "<span></span><span></span>";
const status = new module.Status(pill, announcer);
"""


def test_the_status_forgets_a_refusal_after_a_connection(page: Page):
    body = """
    const texts = [];
    const paint = () => {
      status.paint(100, 4000, 0);
      texts.push([...pill.children].map((part) => part.textContent));
    };
    status.setState({ name: "waiting", until: 500 });
    status.setRefusalReason("the server is full");
    paint();
    status.setState({ name: "live" });
    paint();
    status.setRefusalReason("the server is full");
    paint();
    return texts;
    """
    assert run_module(page, "status", STATUS + body) == [
        ["Offline", "the server is full"],
        ["Live", "< 1 s"],
        ["Live", "< 1 s"],
    ]


def test_the_status_tells_new_prices_with_old_times_from_no_new_prices(page: Page):
    body = """
    status.setState({ name: "live" });
    const hour = 3_600_000;
    const quotes = { age: () => hour, hasSimulated: true };
    return [undefined, 10_000, 10_000].map((flowedAt, step) => {
      status.show({ ...quotes, flowedAt }, 0, 5000, 10_000 + 3999 * step);
      return [pill.dataset.state, ...[...pill.children].map((part) => part.textContent)];
    });
    """
    assert run_module(page, "status", STATUS + body) == [
        ["stale", "No new prices", "60 min"],
        ["stale", "Delayed prices", "60 min"],
        ["stale", "No new prices", "60 min"],
    ]


FRAMES = (
    FAKE_SOCKETS
    + """
const updates = [];
const calls = [];
const handlers = { onUpdate: (update) => updates.push(update) };
for (const name of ["onState", "onTicker", "onList", "onService", "onTime"]) handlers[name] = () => calls.push(name);
const socket = new module.PriceSocket("ws://x", handlers);
socket.setSymbols(["A"]);
sockets[0].onopen();
calls.length = 0;
for (const frame of given) sockets[0].onmessage({ data: frame });
return [updates, calls, sockets.length];
"""
)


def test_an_update_with_a_key_named_type_is_an_update(page: Page):
    update = {"symbol": "A", "price": 5.0, "timestamp": 1, "seq_id": 1}
    frames = [json.dumps(update | {"type": name}) for name in ("ticker", "list", "pong", "trade")]
    updates, calls, _ = run_module(page, "socket", FRAMES, frames)
    assert [each["type"] for each in updates] == ["ticker", "list", "pong", "trade"]
    assert calls == []


def test_no_frame_breaks_the_connection(page: Page):
    odd = ["", "{", "null", "1", '"x"', "true", "[]", "{}", '{"type":null}', '{"type":{}}', '{"type":"ack","id":7}']
    odd += ['{"type":"ack","id":{"toString":1}}', '{"type":"error","id":["s"],"code":500}', '{"type":"pong"}']
    update = '{"symbol":"A","price":5,"timestamp":1,"seq_id":1}'
    updates, _, socket_count = run_module(page, "socket", FRAMES, [*odd, update])
    assert updates == [{"symbol": "A", "price": 5, "timestamp": 1, "seq_id": 1}]
    assert socket_count == 1


KICKED = """
const { Status } = await import("/static/watchlist/status.js");
const sockets = [];
window.WebSocket = class { constructor() { sockets.push(this); } close() {} send() {} };
const timers = [];
const answers = [...given];
window.fetch = async () => ({ ok: true, json: async () => answers.shift() });
const setRealTimeout = window.setTimeout;
window.setTimeout = (callback, delay) => timers.push({ callback, delay });
const element = document.createElement("div");
element.innerHTML = "<span></span><small></small>";
const announcer = document.createElement("div");
announcer.innerHTML = "<p></p><p></p>";
const status = new Status(element, announcer);
const feed = new module.PriceFeed(status, { onChange: () => {}, onService: () => {} });
const waits = () => timers.filter(({ delay }) => delay >= 30000).map(({ delay }) => delay);
const settle = () => new Promise((resolve) => setRealTimeout(resolve, 0));
const until = async (isDone) => { while (!isDone()) await settle(); };
feed.setSymbols(["A"]);
"""


def test_a_page_that_the_operator_kicks_says_so_and_connects_again_after_the_refusal(page: Page):
    body = """
    sockets[0].onclose({ code: 4504 });
    feed.check();
    await until(() => waits().length);
    const shown = element.querySelector("small");
    status.paint(1000, Infinity, 0);
    const text = shown.textContent;
    const before = sockets.length;
    timers.find(({ delay }) => delay === 540000).callback();
    return [text, before, waits(), sockets.length];
    """
    refused = {"ok": False, "status": 429, "reason": "refused by operator", "retry_after": 540}
    found = run_module(page, "feed", KICKED + body, [refused])
    assert found == ["The operator closed this connection", 1, [540_000], 2]


def test_a_page_that_the_operator_kicks_connects_again_although_it_cannot_ask_for_the_time(page: Page):
    body = """
    window.fetch = async () => { throw new TypeError("offline"); };
    sockets[0].onclose({ code: 4504 });
    await until(() => waits().length);
    timers.find(({ delay }) => delay === 60000).callback();
    return [waits(), sockets.length];
    """
    assert run_module(page, "feed", KICKED + body, []) == [[60_000], 2]


def test_a_page_that_the_operator_refuses_stops_its_attempts(page: Page):
    body = """
    sockets[0].onclose({ code: 1006 });
    timers.findLast(({ delay }) => delay < 1000).callback();
    sockets[1].onclose({ code: 1006 });
    await until(() => waits().length);
    status.paint(1000, Infinity, 0);
    return [element.querySelector("small").textContent, waits(), sockets.length];
    """
    refused = {"ok": False, "status": 429, "reason": "refused by operator", "retry_after": 540}
    found = run_module(page, "feed", KICKED + body, [refused, refused])
    assert found == ["The operator closed this connection", [540_000], 2]
