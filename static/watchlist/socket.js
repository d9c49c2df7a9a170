// Connects to /ws, subscribes, parses frames and reconnects after a loss. Knows no DOM.
// Handlers: onState, onUpdate, onTicker, onFeed, onList, onAlert, onService, onTime.

const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 5000;
const OPEN_TIMEOUT_MS = 10000;
const PING_INTERVAL_MS = 15000;
const PONG_TIMEOUT_MS = 10000;
const MAX_HERTZ = 4;
const MIN_HERTZ = 2;
const MAX_UPDATES_PER_SECOND = 170;
const CLOSED_ABNORMALLY = 1006;
const SENT_AWAY = 4001; // this process of the gateway stops, or wants its clients to move to another one
const TRY_AGAIN_LATER = 1013;

// Updates a second of each symbol. Whole numbers: the gateway has few rates.
export function updateRate(symbolCount) {
  return Math.max(MIN_HERTZ, Math.min(MAX_HERTZ, Math.floor(MAX_UPDATES_PER_SECOND / symbolCount)));
}

// Milliseconds before the next attempt. Half of them depend on `random`, so that pages do not all reconnect at once.
export function retryDelay(attempt, random, maximum = MAX_DELAY_MS) {
  const longest = Math.min(maximum, FIRST_DELAY_MS * 2 ** attempt);
  return longest / 2 + (random * longest) / 2;
}

// Close codes from 4500 to 4999: the client is at fault and must not reconnect.
export function mayReconnect(code) {
  return code < 4500 || code > 4999;
}

function isSubscription(id) {
  return typeof id === "string" && id.startsWith("s");
}

// Passes a frame to its handler.
export function passFrame(frame, handlers) {
  const names = { ticker: "onTicker", feed: "onFeed", list: "onList", alert: "onAlert", service: "onService" };
  handlers[names[frame?.type]]?.(frame);
}

export class PriceSocket {
  maxDelay = MAX_DELAY_MS; // before an attempt
  failures = 0; // connections in a row on which the gateway answered nothing
  #url;
  #handlers;
  #random;
  #symbols = new Set(); // to be subscribed
  #subscribed = new Set(); // on this connection
  #rate = 0;
  #isSuspended = false;
  #isRefused = false;
  #wasAnswered = false; // on this connection
  #isMoving = false; // since a close with SENT_AWAY; ends if the first attempt fails
  #socket = null;
  #requestCount = 0;
  #attempt = 0;
  #retryTimer = 0;
  #openTimer = 0;
  #pingTimer = 0;
  #pongTimer = 0;
  #pingedAt = 0;

  constructor(url, handlers, random = Math.random) {
    this.#url = url;
    this.#handlers = handlers;
    this.#random = random;
  }

  // Without symbols there is no connection.
  setSymbols(symbols) {
    this.#symbols = new Set(symbols);
    if (!this.#symbols.size) this.#disconnect();
    else if (!this.#isSuspended) this.check();
  }

  // No updates and no reconnecting until `resume`.
  suspend() {
    this.#isSuspended = true;
    clearTimeout(this.#retryTimer);
    if (this.#isOpen() && this.#subscribed.size) this.#send({ action: "unsubscribe_all", id: this.#nextId() });
    this.#subscribed.clear();
  }

  resume() {
    this.#isSuspended = false;
    if (this.#symbols.size) this.check();
  }

  // Connects; if connected, sends a ping and corrects the subscriptions.
  check() {
    if (this.#isRefused) return;
    if (!this.#socket && !this.#isSuspended) this.#connect();
    else if (this.#isOpen()) {
      this.#subscribe();
      this.#ping();
    }
  }

  retry() {
    this.#isRefused = false;
    this.check();
  }

  #isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  #nextId() {
    this.#requestCount += 1;
    return String(this.#requestCount);
  }

  #connect() {
    clearTimeout(this.#retryTimer);
    if (!this.#isMoving) this.#handlers.onState({ name: "connecting", isRetry: this.#attempt > 0 });
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#subscribed.clear();
    this.#wasAnswered = false;
    this.#openTimer = setTimeout(() => this.#lose(CLOSED_ABNORMALLY), OPEN_TIMEOUT_MS);
    socket.onopen = () => this.#start();
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => this.#lose(event.code);
  }

  #start() {
    clearTimeout(this.#openTimer);
    this.#subscribe();
    this.#ping();
    this.#pingTimer = setInterval(() => this.#ping(), PING_INTERVAL_MS);
  }

  #subscribe() {
    if (this.#isSuspended) return;
    const rate = updateRate(this.#symbols.size);
    // Options apply to new symbols only. Without any, a new rate requires that all are subscribed again.
    const resubscribe = rate !== this.#rate && [...this.#symbols].every((symbol) => this.#subscribed.has(symbol));
    const removed = [...this.#subscribed].filter((symbol) => resubscribe || !this.#symbols.has(symbol));
    const added = [...this.#symbols].filter((symbol) => resubscribe || !this.#subscribed.has(symbol));
    this.#rate = rate;
    if (removed.length) this.#send({ action: "unsubscribe", payload: { symbols: removed }, id: this.#nextId() });
    if (added.length) {
      const options = { mode: "latest", max_hz: rate };
      this.#send({ action: "subscribe", payload: { symbols: added, options }, id: `s${this.#nextId()}` });
    }
    this.#subscribed = new Set(this.#symbols);
  }

  #send(request) {
    this.#socket.send(JSON.stringify(request));
  }

  // A dead connection does not close by itself, so a missing pong is a loss. A pong also has the time.
  #ping() {
    clearTimeout(this.#pongTimer);
    this.#pingedAt = performance.now();
    this.#send({ action: "ping", id: "time" });
    this.#pongTimer = setTimeout(() => this.#lose(CLOSED_ABNORMALLY), PONG_TIMEOUT_MS);
  }

  #receive(text) {
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return;
    }
    // A publisher may add any key to an update, even `type`. Only updates have a price.
    if (Array.isArray(frame)) for (const update of frame) this.#handlers.onUpdate(update);
    else if (frame?.price !== undefined) this.#handlers.onUpdate(frame);
    else if (frame?.type === undefined) return;
    else if (frame.type === "ack") this.#acknowledge(frame);
    else if (frame.type === "pong") this.#readTime(frame, (this.#pingedAt + performance.now()) / 2);
    else if (frame.type === "heartbeat") this.#readTime(frame, performance.now());
    else if (frame.type === "error") this.#handleError(frame);
    else passFrame(frame, this.#handlers);
  }

  // Resets the delay only now: a failing gateway may accept connections and drop them.
  #acknowledge({ id }) {
    if (!isSubscription(id)) return;
    this.#wasAnswered = true;
    this.#attempt = this.failures = 0;
    this.#handlers.onState({ name: "live" });
  }

  #readTime({ timestamp }, localTime) {
    this.#wasAnswered = true;
    clearTimeout(this.#pongTimer);
    if (Number.isFinite(timestamp)) this.#handlers.onTime(timestamp / 1000, localTime);
  }

  #handleError({ id, code }) {
    if (!isSubscription(id)) return;
    if (code === 429 || code >= 500) this.#lose(TRY_AGAIN_LATER);
    else this.#acknowledge({ id }); // no symbol was new or known
  }

  #disconnect() {
    clearTimeout(this.#retryTimer);
    if (this.#socket) this.#drop();
    this.#isMoving = false;
    this.#handlers.onState({ name: "idle" });
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    this.#subscribed.clear();
    clearTimeout(this.#openTimer);
    clearTimeout(this.#pongTimer);
    clearInterval(this.#pingTimer);
  }

  #lose(code) {
    if (!this.#socket) return;
    if (!this.#wasAnswered) this.failures += 1;
    this.#drop();
    this.#isMoving = code === SENT_AWAY && this.#attempt === 0;
    if (mayReconnect(code)) this.#retryLater();
    else this.stop(code);
  }

  #retryLater() {
    const delay = retryDelay(this.#attempt++, this.#random(), this.maxDelay);
    if (!this.#isSuspended) this.#retryTimer = setTimeout(() => this.#connect(), delay);
    this.#handlers.onState(this.#isMoving ? { name: "moving" } : { name: "waiting", until: performance.now() + delay });
  }

  // No reconnecting until `retry`.
  stop(code) {
    clearTimeout(this.#retryTimer);
    if (this.#socket) this.#drop();
    this.#isRefused = true;
    this.#handlers.onState({ name: "refused", code });
  }
}
