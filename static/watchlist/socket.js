// The connection to /ws in action mode: connect, subscribe to all symbols at once, parse, come back after a loss.
// Knows no DOM. What arrives goes to the handlers: onState, onUpdate, onTicker, onTime.

const FIRST_DELAY = 500;
const LONGEST_DELAY = 8000;
const OPEN_WITHIN = 10000;
const PING_EVERY = 15000;
const PONG_WITHIN = 10000;

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
  #symbols;
  #handlers;
  #chance;
  #socket = null;
  #attempt = 0;
  #retry = 0;
  #opening = 0;
  #pinging = 0;
  #ponging = 0;
  #pingedAt = 0;
  #refused = false;

  constructor(url, symbols, handlers, chance = Math.random) {
    this.#url = url;
    this.#symbols = symbols;
    this.#handlers = handlers;
    this.#chance = chance;
  }

  open() {
    clearTimeout(this.#retry);
    this.#handlers.onState({ name: "connecting", again: this.#attempt > 0 });
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#opening = setTimeout(() => this.#lose(1006), OPEN_WITHIN);
    socket.onopen = () => this.#subscribe();
    socket.onmessage = (event) => this.#read(event.data);
    socket.onclose = (event) => this.#lose(event.code);
  }

  // Called when the page is looked at again or the network is back: comes back now, or makes sure that the line lives.
  check() {
    if (this.#refused) return;
    if (!this.#socket) this.open();
    else if (this.#socket.readyState === WebSocket.OPEN) this.#ping();
  }

  #subscribe() {
    clearTimeout(this.#opening);
    this.#send({ action: "subscribe", payload: { symbols: this.#symbols }, id: "1" });
    this.#ping();
    this.#pinging = setInterval(() => this.#ping(), PING_EVERY);
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
    if (frame.type === undefined) this.#handlers.onUpdate(frame);
    else if (frame.type === "ticker") this.#handlers.onTicker(frame);
    else if (frame.type === "ack") this.#acknowledged();
    else if (frame.type === "pong") this.#tell(frame);
    else if (frame.type === "error") this.#fail(frame);
  }

  // Only an answered subscription ends the backing off: a gateway that accepts and drops is no gateway yet.
  #acknowledged() {
    this.#attempt = 0;
    this.#handlers.onState({ name: "live" });
  }

  #tell({ timestamp }) {
    clearTimeout(this.#ponging);
    const now = performance.now();
    if (Number.isFinite(timestamp)) this.#handlers.onTime(timestamp / 1000, (this.#pingedAt + now) / 2);
  }

  #fail({ id, code }) {
    if (id !== "1") return;
    if (code === 429 || code >= 500) this.#lose(1013);
    else this.#acknowledged(); // none of the symbols is fed; the rows say so by their age
  }

  #lose(code) {
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    clearTimeout(this.#opening);
    clearTimeout(this.#ponging);
    clearInterval(this.#pinging);
    if (comesBack(code)) this.#comeBack();
    else this.#giveUp(code);
  }

  #comeBack() {
    const delay = backoff(this.#attempt++, this.#chance());
    this.#retry = setTimeout(() => this.open(), delay);
    this.#handlers.onState({ name: "waiting", until: performance.now() + delay });
  }

  #giveUp(code) {
    this.#refused = true;
    this.#handlers.onState({ name: "refused", code });
  }
}
