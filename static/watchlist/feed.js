// Delivers prices: from the socket, or by polling while no socket can be opened.

import { Poller, fetchRefusalReason } from "./polling.js";
import { PriceSocket } from "./socket.js";

const FAILURES_BEFORE_REASON = 2;
const FAILURES_BEFORE_POLLING = 3;

export class PriceFeed {
  #status;
  #handlers;
  #symbols = [];
  #socket;
  #poller;
  #wasPolling = false; // before `suspend`
  #serviceIsKnown = false; // from a frame of this connection

  // Handlers: those of PriceSocket, but onChange() instead of onState.
  constructor(status, handlers) {
    this.#status = status;
    this.#handlers = handlers;
    const address = new URL("/ws?meta=1&batch=1&heartbeat=15", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.#socket = new PriceSocket(address.href, {
      ...handlers,
      onState: (state) => this.#setState(state),
      onService: (frame) => this.#setService(frame),
    });
    this.#poller = new Poller({
      onUpdate: handlers.onUpdate,
      onResult: (succeeded) => {
        status.setPolling(succeeded);
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

  // While the page is hidden.
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
    this.#status.setState(state);
    if (state.name === "connecting") this.#serviceIsKnown = false;
    else if (state.name === "live") {
      // Without a `service` frame, lists are available.
      if (!this.#serviceIsKnown) this.#handlers.onService({ lists: true });
      this.#poller.stop();
      this.#status.setPolling(false);
    } else if (state.name === "waiting") this.#fallBack();
    this.#handlers.onChange();
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
