// Delivers prices from the socket, or by polling over HTTP while no socket can be opened.

import { PriceSocket } from "./socket.js";

const FAILURES_BEFORE_REASON = 2;
const FAILURES_BEFORE_POLLING = 3;
const POLL_INTERVAL_MS = 2000;
const MAX_POLLED_SYMBOLS = 200;
const REASONS = {
  origin: "not allowed from this site",
  "address rate": "too many connections from your address",
  full: "the server is full",
  "sign in": "signed out: reload the page",
  "no tickers": "the database does not answer",
};

export class PriceFeed {
  #status;
  #handlers;
  #symbols = [];
  #socket;
  #poller;
  #wasPolling = false; // before `suspend`
  #serviceIsKnown = false; // from a frame of this connection

  // Handlers: those of PriceSocket, but onChange() and onRefused(code) instead of onState. `query`: more of the address.
  constructor(status, handlers, query = "") {
    this.#status = status;
    this.#handlers = handlers;
    const address = new URL(`/ws?meta=1&batch=1&heartbeat=15${query}`, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.#socket = new PriceSocket(address.href, {
      ...handlers,
      onState: (state) => this.#setState(state),
      onService: (frame) => this.#setService(frame),
    });
    this.#poller = new Poller({
      onUpdate: handlers.onUpdate,
      onResult: (succeeded) => {
        status.isPolling = succeeded;
        handlers.onChange();
      },
    });
  }

  setSymbols(symbols) {
    this.#symbols = [...symbols];
    this.#socket.setSymbols(symbols);
    if (this.#poller.isRunning) this.#poller.start(this.#symbols);
  }

  check() {
    this.#socket.check();
  }

  suspend() {
    this.#wasPolling = this.#poller.isRunning;
    this.#poller.stop();
    this.#socket.suspend();
  }

  resume() {
    if (this.#wasPolling) this.#poller.start(this.#symbols);
    this.#socket.resume();
  }

  #setState(state) {
    if (state.name !== "moving") this.#status.setState(state); // a move takes less than a second
    if (state.name === "connecting" || state.name === "moving") this.#serviceIsKnown = false;
    else if (state.name === "live") {
      // Without a `service` frame, lists are available.
      if (!this.#serviceIsKnown) this.#handlers.onService({ lists: true });
      this.#poller.stop();
      this.#status.isPolling = false;
    } else if (state.name === "waiting") this.#fallBack();
    else if (state.name === "refused") this.#handlers.onRefused?.(state.code);
    this.#handlers.onChange();
  }

  // Feeds no hidden page. `onShow` is called when it is shown again.
  followBrowser(onShow) {
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) return this.suspend();
      this.resume();
      onShow();
    });
    addEventListener("pageshow", (event) => {
      if (event.persisted) this.check();
    });
    for (const type of ["online", "offline"]) {
      addEventListener(type, () => {
        this.#status.isOffline = type === "offline";
        this.check();
        this.#handlers.onChange();
      });
    }
  }

  #setService(frame) {
    this.#serviceIsKnown = true;
    this.#handlers.onService(frame);
  }

  #fallBack() {
    if (document.hidden) return; // an attempt that began before the page was hidden
    if (this.#socket.failures >= FAILURES_BEFORE_POLLING) this.#poller.start(this.#symbols);
    if (this.#socket.failures < FAILURES_BEFORE_REASON) return;
    const show = (reason) => this.#status.setRefusalReason(reason);
    fetchRefusalReason().then(show, () => show(""));
  }
}

// Why the gateway refuses connections, as text; empty if it accepts them.
async function fetchRefusalReason() {
  const answer = await fetch("/ws/status", { cache: "no-store" });
  if (!answer.ok) return "";
  const { ok, reason } = await answer.json();
  return ok ? "" : (REASONS[reason] ?? "");
}

export class Poller {
  #handlers;
  #symbols = [];
  #timer = 0;
  #isRunning = false;
  #run = 0; // late answers of an earlier run are ignored

  // Handlers: onUpdate, and onResult(succeeded) after each request.
  constructor(handlers) {
    this.#handlers = handlers;
  }

  get isRunning() {
    return this.#isRunning;
  }

  // If it is running, replaces the symbols.
  start(symbols) {
    this.#symbols = symbols;
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#run += 1;
    this.#poll(this.#run);
  }

  stop() {
    this.#isRunning = false;
    clearTimeout(this.#timer);
  }

  async #poll(run) {
    let succeeded = false;
    try {
      const query = this.#symbols.slice(0, MAX_POLLED_SYMBOLS).map(encodeURIComponent).join(",");
      // `no-cache`: the browser sends the ETag of the last answer.
      const answer = await fetch(`/api/quotes?symbols=${query}`, { cache: "no-cache" });
      if (answer.ok) {
        const { quotes } = await answer.json();
        if (this.#isCurrent(run)) for (const update of quotes) this.#handlers.onUpdate(update);
        succeeded = true;
      }
    } catch {
      // `succeeded` stays false.
    }
    if (!this.#isCurrent(run)) return;
    this.#handlers.onResult(succeeded);
    this.#timer = setTimeout(() => this.#poll(run), POLL_INTERVAL_MS);
  }

  #isCurrent(run) {
    return this.#isRunning && run === this.#run;
  }
}
