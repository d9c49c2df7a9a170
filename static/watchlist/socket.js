// The connection to /ws in action mode: connect, subscribe to what is wanted, parse, come back after a loss.
// Knows no DOM. What arrives goes to the handlers: onState, onUpdate, onTicker, onList, onService, onTime.

const FIRST_DELAY = 500;
const LONGEST_DELAY = 5000;
const OPEN_WITHIN = 10000;
const PING_EVERY = 15000;
const PONG_WITHIN = 10000;
const MOST_HERTZ = 4;
const LEAST_HERTZ = 2;
const MOST_UPDATES = 170;

// Updates a second to ask for of each symbol: as many as eyes read, fewer on a long list, whose updates (85 bytes each)
// would come to 60 MB an hour. Whole numbers, so that the gateway has few paces to keep.
export function paceOf(symbols) {
  return Math.max(LEAST_HERTZ, Math.min(MOST_HERTZ, Math.floor(MOST_UPDATES / symbols)));
}

// Milliseconds before the next try: doubled each time up to a cap, the upper half of it by chance, so that the pages
// that one gateway lost do not all return at the same moment. `chance` is from 0 to 1.
export function backoff(attempt, chance) {
  const longest = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** attempt);
  return longest / 2 + (chance * longest) / 2;
}

// 4500 to 4999 say that this client is at fault and need not come back; all else is worth another try.
export function comesBack(code) {
  return code < 4500 || code > 4999;
}

export class PriceSocket {
  #url;
  #handlers;
  #chance;
  #wanted = new Set(); // what the page shows
  #pace = 0; // updates a second of each symbol
  #held = new Set(); // what this connection is subscribed to
  #asleep = false;
  #socket = null;
  #requests = 0;
  #attempt = 0;
  #failures = 0;
  #retry = 0;
  #opening = 0;
  #pinging = 0;
  #ponging = 0;
  #pingedAt = 0;
  #begun = false;
  #refused = false;

  constructor(url, handlers, chance = Math.random) {
    this.#url = url;
    this.#handlers = handlers;
    this.#chance = chance;
  }

  // How many upgrades failed in a row, without a word from the gateway.
  get failures() {
    return this.#failures;
  }

  // These symbols and no others; without any there is no connection.
  want(symbols) {
    this.#wanted = new Set(symbols);
    if (!this.#wanted.size) this.#rest();
    else if (!this.#asleep) this.check();
  }

  // Nobody looks: no updates are sent here until `wake`, and a connection that is lost stays so.
  sleep() {
    this.#asleep = true;
    clearTimeout(this.#retry);
    if (this.#isOpen() && this.#held.size) this.#send({ action: "unsubscribe_all", id: this.#name() });
    this.#held.clear();
  }

  wake() {
    this.#asleep = false;
    if (this.#wanted.size) this.check();
  }

  // Comes back now, or makes sure that the line lives and carries what is wanted.
  check() {
    if (this.#refused) return;
    if (!this.#socket && !this.#asleep) this.#open();
    else if (this.#isOpen()) {
      this.#subscribe();
      this.#ping();
    }
  }

  #isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  #name() {
    this.#requests += 1;
    return String(this.#requests);
  }

  #open() {
    clearTimeout(this.#retry);
    this.#handlers.onState({ name: "connecting", again: this.#attempt > 0 });
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#held.clear();
    this.#begun = false;
    this.#opening = setTimeout(() => this.#lose(1006), OPEN_WITHIN);
    socket.onopen = () => this.#begin();
    socket.onmessage = (event) => this.#read(event.data);
    socket.onclose = (event) => this.#lose(event.code);
  }

  #begin() {
    clearTimeout(this.#opening);
    this.#begun = true;
    this.#subscribe();
    this.#ping();
    this.#pinging = setInterval(() => this.#ping(), PING_EVERY);
  }

  #subscribe() {
    if (this.#asleep) return;
    const pace = paceOf(this.#wanted.size);
    // Options come with new symbols only: where there are none, another pace takes a new subscription.
    const anew = pace !== this.#pace && [...this.#wanted].every((symbol) => this.#held.has(symbol));
    const gone = [...this.#held].filter((symbol) => anew || !this.#wanted.has(symbol));
    const fresh = [...this.#wanted].filter((symbol) => anew || !this.#held.has(symbol));
    this.#pace = pace;
    if (gone.length) this.#send({ action: "unsubscribe", payload: { symbols: gone }, id: this.#name() });
    if (fresh.length) {
      const options = { mode: "latest", max_hz: pace };
      this.#send({ action: "subscribe", payload: { symbols: fresh, options }, id: `s${this.#name()}` });
    }
    this.#held = new Set(this.#wanted);
  }

  #send(request) {
    this.#socket.send(JSON.stringify(request));
  }

  // A dead line closes nothing by itself: no answer within PONG_WITHIN is a loss. The answer also tells the time.
  #ping() {
    clearTimeout(this.#ponging);
    this.#pingedAt = performance.now();
    this.#send({ action: "ping", id: "time" });
    this.#ponging = setTimeout(() => this.#lose(1006), PONG_WITHIN);
  }

  #read(text) {
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return;
    }
    if (Array.isArray(frame)) for (const update of frame) this.#handlers.onUpdate(update);
    else if (frame.type === undefined) this.#handlers.onUpdate(frame);
    else if (frame.type === "ticker") this.#handlers.onTicker(frame);
    else if (frame.type === "list") this.#handlers.onList(frame);
    else if (frame.type === "service") this.#handlers.onService(frame);
    else if (frame.type === "ack") this.#acknowledge(frame);
    else if (frame.type === "pong") this.#tell(frame, (this.#pingedAt + performance.now()) / 2);
    else if (frame.type === "heartbeat") this.#tell(frame, performance.now());
    else if (frame.type === "error") this.#fail(frame);
  }

  // Only an answered subscription ends the backing off: a gateway that accepts and drops is no gateway yet.
  #acknowledge({ id }) {
    if (!id?.startsWith("s")) return;
    this.#attempt = this.#failures = 0;
    this.#handlers.onState({ name: "live" });
  }

  #tell({ timestamp }, at) {
    clearTimeout(this.#ponging);
    if (Number.isFinite(timestamp)) this.#handlers.onTime(timestamp / 1000, at);
  }

  #fail({ id, code }) {
    if (!id?.startsWith("s")) return;
    if (code === 429 || code >= 500) this.#lose(1013);
    else this.#acknowledge({ id }); // none of the symbols is fed, or all were; the rows say so by their age
  }

  #rest() {
    clearTimeout(this.#retry);
    if (this.#socket) this.#drop();
    this.#handlers.onState({ name: "resting" });
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    this.#held.clear();
    clearTimeout(this.#opening);
    clearTimeout(this.#ponging);
    clearInterval(this.#pinging);
  }

  #lose(code) {
    if (!this.#socket) return;
    if (!this.#begun) this.#failures += 1;
    this.#drop();
    if (comesBack(code)) this.#comeBack();
    else this.#giveUp(code);
  }

  #comeBack() {
    const delay = backoff(this.#attempt++, this.#chance());
    if (!this.#asleep) this.#retry = setTimeout(() => this.#open(), delay);
    this.#handlers.onState({ name: "waiting", until: performance.now() + delay });
  }

  #giveUp(code) {
    this.#refused = true;
    this.#handlers.onState({ name: "refused", code });
  }
}
