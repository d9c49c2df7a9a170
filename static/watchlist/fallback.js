// Delivers prices while no socket can be opened: from /stream, or by polling while the stream is blocked too.

import { Poller } from "./poller.js";
import { passFrame } from "./socket.js";

const MESSAGE_INTERVAL_MS = 5000;
const MAX_UNANSWERED = 2;
const FAILURES_BEFORE_POLLING = 2;
const MAX_WORKERS = 3;
const VERSION = 1; // of the messages between page and worker: pages of two releases do not share a worker

export class Fallback {
  #handlers;
  #poller;
  #symbols = [];
  #mode = "";
  #port = null; // to a SharedStream
  #workers = 0; // that were tried
  #unanswered = 0; // messages
  #timer = 0;

  // Handlers: those of PriceSocket, but instead of onState onMode with "stream", "polling", or "" while neither brings prices.
  constructor(handlers) {
    this.#handlers = handlers;
    this.#poller = new Poller({
      onUpdate: handlers.onUpdate,
      onResult: (succeeded) => this.#setMode(succeeded ? "polling" : ""),
    });
  }

  get isRunning() {
    return this.#timer > 0;
  }

  // If it is running, replaces the symbols.
  start(symbols) {
    this.#symbols = symbols;
    if (this.#poller.isRunning) this.#poller.start(symbols);
    if (!this.isRunning) {
      this.#unanswered = 0;
      this.#timer = setInterval(() => this.#repeat(), MESSAGE_INTERVAL_MS);
    }
    this.#port ??= this.#openPort();
    this.#send();
  }

  // For a short time: the mode stays.
  suspend() {
    this.#poller.stop();
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#symbols = [];
    if (this.#port) this.#send();
  }

  stop() {
    this.suspend();
    this.#mode = "";
  }

  check() {
    if (this.isRunning) this.#send(true);
  }

  #send(isCheck = false) {
    this.#port.postMessage({ symbols: this.#symbols, isCheck });
  }

  // A worker that was ended with a crashed page gives no error, but no answers either.
  #repeat() {
    if (this.#unanswered >= MAX_UNANSWERED) this.#reopen();
    this.#unanswered += 1;
    this.#send();
  }

  #reopen() {
    this.#port.close();
    this.#unanswered = 0;
    this.#port = this.#openPort();
    this.#send();
  }

  #openPort() {
    this.#workers += 1;
    // Browsers start no worker from a file of another host, such as a CDN.
    const mayWork = globalThis.SharedWorker && new URL(import.meta.url).origin === location.origin;
    const port = mayWork && this.#workers <= MAX_WORKERS ? this.#openWorker() : openOwnStream();
    port.onmessage = ({ data }) => this.#receive(data);
    return port;
  }

  #openWorker() {
    // A stream of a private site has frames of its account, so pages of two accounts do not share a worker.
    const account = document.body.dataset.account ?? "";
    const name = `prices ${VERSION}.${this.#workers} ${account}`;
    const worker = new SharedWorker(new URL("./stream_worker.js", import.meta.url), { type: "module", name });
    worker.onerror = () => {
      if (worker.port === this.#port) this.#reopen();
    };
    return worker.port;
  }

  #receive({ updates = [], frames = [], time, isLive, failures }) {
    if (!this.isRunning) return;
    this.#unanswered = 0;
    for (const update of updates) this.#handlers.onUpdate(update);
    for (const frame of frames) passFrame(frame, this.#handlers);
    if (time !== undefined) this.#handlers.onTime(time, performance.now());
    if (isLive) {
      this.#poller.stop();
      this.#setMode("stream");
    } else if (failures >= FAILURES_BEFORE_POLLING) this.#poller.start(this.#symbols);
    else if (failures && this.#mode === "stream") this.#setMode("");
  }

  #setMode(mode) {
    this.#mode = mode;
    this.#handlers.onMode(mode);
  }
}

function openOwnStream() {
  const { port1, port2 } = new MessageChannel();
  import("./stream.js").then(
    ({ SharedStream }) => new SharedStream().accept(port2),
    () => {}, // the page asks again
  );
  return port1;
}
