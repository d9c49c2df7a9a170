// Connects to /ws, subscribes, parses frames and reconnects after a loss. Does not use the DOM.
// The handlers are onState, onUpdate, onTicker, onFeed, onList, onService and onTime.

const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 5000;
const OPEN_TIMEOUT_MS = 10000;
const PING_INTERVAL_MS = 15000;
const PONG_TIMEOUT_MS = 10000;
const MAX_HERTZ = 4;
const MIN_HERTZ = 2;
const MAX_UPDATES_PER_SECOND = 170;
const CLOSED_ABNORMALLY = 1006;
const SENT_AWAY = 4001; // the gateway process stops, or its clients must connect to another gateway process
const TRY_AGAIN_LATER = 1013;

// Returns how many updates per second to request for each symbol. 170 updates of 85 bytes per second are 52 MB an hour.
// The result is a whole number, so that the gateway serves few different rates.
export function updateRate(symbolCount) {
  return Math.max(MIN_HERTZ, Math.min(MAX_HERTZ, Math.floor(MAX_UPDATES_PER_SECOND / symbolCount)));
}

// Returns the milliseconds before the next attempt. The delay doubles with each attempt, up to a maximum. `random`,
// from 0 to 1, decides the second half of the delay, so that not all pages reconnect to a restarted gateway at once.
export function retryDelay(attempt, random) {
  const longest = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** attempt);
  return longest / 2 + (random * longest) / 2;
}

// Returns whether the client may reconnect after a close code. Codes from 4500 to 4999 mean a fault of the client.
export function mayReconnect(code) {
  return code < 4500 || code > 4999;
}

function isSubscription(id) {
  return typeof id === "string" && id.startsWith("s");
}

export class PriceSocket {
  #url;
  #handlers;
  #random;
  #symbols = new Set(); // the symbols that the page shows
  #subscribed = new Set(); // the symbols that this connection is subscribed to
  #rate = 0;
  #isSuspended = false;
  #isRefused = false;
  #wasOpened = false;
  #isMoving = false; // true after a close with SENT_AWAY, until the first attempt fails
  #socket = null;
  #requestCount = 0;
  #attempt = 0;
  #failures = 0;
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

  // Returns how many upgrades have failed since the last subscription was confirmed.
  get failures() {
    return this.#failures;
  }

  // Sets the symbols to subscribe to. If there are no symbols, closes the connection.
  setSymbols(symbols) {
    this.#symbols = new Set(symbols);
    if (!this.#symbols.size) this.#disconnect();
    else if (!this.#isSuspended) this.check();
  }

  // Stops updates and reconnecting until `resume` is called.
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

  // Connects if there is no connection. On an open connection, corrects the subscriptions and sends a ping.
  check() {
    if (this.#isRefused) return;
    if (!this.#socket && !this.#isSuspended) this.#connect();
    else if (this.#isOpen()) {
      this.#subscribe();
      this.#ping();
    }
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
    this.#wasOpened = false;
    this.#openTimer = setTimeout(() => this.#lose(CLOSED_ABNORMALLY), OPEN_TIMEOUT_MS);
    socket.onopen = () => this.#start();
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => this.#lose(event.code);
  }

  #start() {
    clearTimeout(this.#openTimer);
    this.#wasOpened = true;
    this.#subscribe();
    this.#ping();
    this.#pingTimer = setInterval(() => this.#ping(), PING_INTERVAL_MS);
  }

  #subscribe() {
    if (this.#isSuspended) return;
    const rate = updateRate(this.#symbols.size);
    // Options apply only to new symbols. If there are none, a new rate requires that all symbols are subscribed again.
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

  // Sends a ping. The connection counts as lost if no pong arrives, because a dead connection may never close.
  // A pong also contains the gateway's time.
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
    else if (frame.type === "ticker") this.#handlers.onTicker(frame);
    else if (frame.type === "feed") this.#handlers.onFeed(frame);
    else if (frame.type === "list") this.#handlers.onList(frame);
    else if (frame.type === "service") this.#handlers.onService(frame);
    else if (frame.type === "ack") this.#acknowledge(frame);
    else if (frame.type === "pong") this.#readTime(frame, (this.#pingedAt + performance.now()) / 2);
    else if (frame.type === "heartbeat") this.#readTime(frame, performance.now());
    else if (frame.type === "error") this.#handleError(frame);
  }

  // Resets the delay of reconnects after an acknowledged subscription. An accepted connection does not reset the delay,
  // because a failing gateway may accept a connection and close it immediately.
  #acknowledge({ id }) {
    if (!isSubscription(id)) return;
    this.#attempt = this.#failures = 0;
    this.#handlers.onState({ name: "live" });
  }

  #readTime({ timestamp }, localTime) {
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
    if (!this.#wasOpened) this.#failures += 1;
    this.#drop();
    this.#isMoving = code === SENT_AWAY && this.#attempt === 0;
    if (mayReconnect(code)) this.#retryLater();
    else this.#stop(code);
  }

  #retryLater() {
    const delay = retryDelay(this.#attempt++, this.#random());
    if (!this.#isSuspended) this.#retryTimer = setTimeout(() => this.#connect(), delay);
    this.#handlers.onState(this.#isMoving ? { name: "moving" } : { name: "waiting", until: performance.now() + delay });
  }

  #stop(code) {
    this.#isRefused = true;
    this.#handlers.onState({ name: "refused", code });
  }
}
