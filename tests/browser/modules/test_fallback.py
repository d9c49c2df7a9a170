"""The fallback of the socket: how it reaches the shared stream, and what it does if the shared worker is gone."""

import pytest
from playwright.sync_api import Page

from tests.support.browser.modules import run_module

pytestmark = pytest.mark.browser

HARNESS = """
const workers = [];
const ticks = [];
const modes = [];
window.setInterval = (callback) => ticks.push(callback);
window.clearInterval = () => {};
window.fetch = () => new Promise(() => {});
window.SharedWorker = class {
  constructor(address, { name }) {
    this.name = name;
    this.sent = [];
    this.port = { postMessage: (message) => this.sent.push(message), close: () => (this.isClosed = true) };
    workers.push(this);
  }
};
const fallback = new module.Fallback({ onUpdate() {}, onTime() {}, onMode: (mode) => modes.push(mode) });
fallback.start(["A"]);
const tick = () => ticks.at(-1)();
const answer = (isLive, failures) => workers.at(-1).port.onmessage({ data: { isLive, failures } });
"""


def test_a_worker_that_answers_stays(page: Page):
    body = """
    for (let turn = 0; turn < 10; turn++) {
      tick();
      answer(true, 0);
    }
    return [workers.length, workers[0].sent.length, workers[0].sent.at(-1)];
    """
    assert run_module(page, "fallback", HARNESS + body) == [1, 11, {"symbols": ["A"], "isCheck": False}]


def test_a_worker_that_does_not_answer_is_replaced_and_at_last_the_page_has_its_own_stream(page: Page):
    body = """
    const counts = [];
    for (let turn = 0; turn < 15; turn++) {
      tick();
      counts.push(workers.length);
    }
    return [counts, new Set(workers.map((worker) => worker.name)).size, workers.map((worker) => worker.isClosed)];
    """
    assert run_module(page, "fallback", HARNESS + body) == [
        [1, 1, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3],
        3,
        [True] * 3,
    ]


def test_a_worker_that_cannot_be_loaded_is_replaced_at_once(page: Page):
    body = "workers[0].onerror(); workers[0].onerror(); return workers.length;"
    assert run_module(page, "fallback", HARNESS + body) == 2


def test_the_mode_is_kept_while_a_stream_is_replaced_and_is_empty_after_a_failure(page: Page):
    body = """
    answer(true, 0);
    answer(false, 0);
    const kept = modes.at(-1);
    answer(false, 1);
    const afterFailure = modes.at(-1);
    answer(true, 0);
    fallback.suspend();
    fallback.start(["A"]);
    answer(false, 0);
    const afterSuspension = modes.at(-1);
    return [kept, afterFailure, afterSuspension];
    """
    assert run_module(page, "fallback", HARNESS + body) == ["stream", "", "stream"]


def test_a_stopped_fallback_ignores_what_arrives_late(page: Page):
    body = """
    fallback.stop();
    answer(true, 0);
    return [modes, fallback.isRunning, workers[0].sent.at(-1).symbols];
    """
    assert run_module(page, "fallback", HARNESS + body) == [[], False, []]
