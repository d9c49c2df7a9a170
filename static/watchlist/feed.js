// Delivers prices from the socket, or from the fallback while no socket can be opened.

import { PriceSocket } from "./socket.js";

const FAILURES_BEFORE_REASON = 2;
const FAILURES_BEFORE_FALLBACK = 3;
const KICKED = 4504; // by the operator
const SLOW_MS = 4000; // a proxy that swallows requests or frames reports no failure
const MAX_DELAY_MS = 5000; // of the next attempt
const LONG_DELAY_MS = 60000;

export class PriceFeed {
  #status;
  #handlers;
  #symbols = [];
  #socket;
  #fallback; // of fallback.js
  #failedImports = 0;
  #slowTimer = 0;
  #hadFallback = false; // before `suspend`
  #serviceIsKnown = false; // from a frame of this connection

  // Handlers: those of PriceSocket, but onChange() and onRefused(code) instead of onState. `query`: more of the address.
  constructor(status, handlers, query = "") {
    this.#status = status;
    this.#handlers = handlers;
    const address = new URL(`/ws?meta=1&batch=1&heartbeat=15${query}`, document.body.dataset.sockets ?? location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.#socket = new PriceSocket(address.href, {
      ...handlers,
      onState: (state) => this.#setState(state),
      onService: (frame) => this.#setService(frame),
    });
  }

  setSymbols(symbols) {
    this.#symbols = [...symbols];
    this.#socket.setSymbols(symbols);
    if (this.#fallback?.isRunning) this.#fallback.start(this.#symbols);
  }

  check() {
    this.#socket.check();
    this.#fallback?.check();
  }

  suspend() {
    this.#hadFallback = this.#fallback?.isRunning;
    this.#fallback?.suspend();
    this.#socket.suspend();
  }

  resume() {
    if (this.#hadFallback) this.#fallback.start(this.#symbols);
    this.#socket.resume();
  }

  #setState(state) {
    clearTimeout(this.#slowTimer);
    if (state.name !== "moving") this.#status.setState(state); // a move takes less than a second
    if (state.name === "waiting") this.#fallBack();
    else if (state.name === "connecting" || state.name === "moving") {
      this.#serviceIsKnown = false;
      this.#startFallback();
      this.#slowTimer = setTimeout(() => this.#noteSlowness(), SLOW_MS);
    } else {
      // Without a `service` frame, lists are available.
      if (state.name === "live" && !this.#serviceIsKnown) this.#handlers.onService({ lists: true });
      this.#fallback?.stop();
      this.#setMode("");
      if (state.name === "refused") this.#handlers.onRefused?.(state.code);
      if (state.code === KICKED) this.#explain(true);
    }
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

  #setMode(mode) {
    this.#status.fallback = mode;
    this.#socket.maxDelay = mode === "stream" ? LONG_DELAY_MS : MAX_DELAY_MS;
  }

  get #needsFallback() {
    // The page may be hidden since an attempt began.
    return this.#socket.failures >= FAILURES_BEFORE_FALLBACK && !document.hidden;
  }

  #noteSlowness() {
    this.#socket.failures += FAILURES_BEFORE_FALLBACK;
    this.#startFallback();
  }

  #fallBack() {
    this.#startFallback();
    if (this.#socket.failures < FAILURES_BEFORE_REASON || document.hidden) return;
    this.#explain(false);
  }

  #explain(isKicked) {
    fetch("/ws/status", { cache: "no-store" })
      .then(async (answer) => (await import("./refusals.js")).explain(answer, this.#status, this.#socket, isKicked))
      .catch(() => {
        this.#status.setRefusalReason("");
        if (isKicked) setTimeout(() => this.#socket.retry(), LONG_DELAY_MS);
      });
  }

  async #startFallback() {
    if (!this.#needsFallback) return;
    try {
      // Some browsers remember that an address could not be loaded.
      const { Fallback } = await import(`./fallback.js${this.#failedImports ? `?${this.#failedImports}` : ""}`);
      this.#fallback ??= new Fallback({
        ...this.#handlers,
        onMode: (mode) => {
          this.#setMode(mode);
          this.#handlers.onChange();
        },
      });
    } catch {
      this.#failedImports += 1;
      return;
    }
    if (this.#needsFallback && this.#symbols.length) this.#fallback.start(this.#symbols);
  }
}
