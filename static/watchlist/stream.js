// Reads /stream once for several pages. Runs in a shared worker, or in a page that has none. Knows no DOM.
//
// A page has a MessagePort. It sends { symbols, isCheck }, at least every few seconds: a page that has crashed says no
// farewell. `isCheck`: the network may have changed. It receives { updates }, { frames } about tickers and the like as
// the socket brings them, { time } in milliseconds, and { isLive, failures } as the answer to each of its messages. `isLive`: the stream brings all of its symbols.
// `failures`: attempts in a row that brought nothing.

import { isNewer } from "./quotes.js";
import { retryDelay, updateRate } from "./socket.js";

const HEARTBEAT_SECONDS = 5;
const OPEN_TIMEOUT_MS = 5000;
const SILENCE_TIMEOUT_MS = 15000; // three heartbeats
const JOIN_DELAY_MS = 50; // several pages may add symbols at once
const LEAVE_DELAY_MS = 2000; // a page that a person leaves for another one
const SWEEP_INTERVAL_MS = 5000;
const MAX_SILENT_SWEEPS = 6;
const MAX_DELAY_MS = 15000;
const MAX_WAIT_SECONDS = 60;
const SWEEPS_BEFORE_ASKING_AGAIN = 12; // for unknown symbols
const MAX_QUERY_LENGTH = 6000; // many servers refuse longer addresses
const FAILURES_OF_TIMEOUT = 2; // a proxy that collects the events will not pass them on sooner
const HAS_UNKNOWN_SYMBOLS = 404;

// One response of /stream.
class Stream {
  symbols;
  #handlers;
  #abort = new AbortController();
  #timer = 0;

  // Handlers: onEvents(events), and onEnd({ isTimeout, unknown, seconds }) unless `stop` is called first. `unknown`:
  // symbols without which the request may succeed. `seconds`: how long the server wants the client to wait.
  constructor(symbols, handlers) {
    this.symbols = new Set(symbols);
    this.#handlers = handlers;
    this.#read().then(
      () => this.#end({}),
      (reason) => this.#end(reason),
    );
  }

  stop() {
    this.#handlers = null;
    clearTimeout(this.#timer);
    this.#abort.abort();
  }

  #end(reason) {
    const handlers = this.#handlers;
    this.stop();
    handlers?.onEnd(reason);
  }

  #expect(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end({ isTimeout: true }), milliseconds);
  }

  async #read() {
    this.#expect(OPEN_TIMEOUT_MS);
    const rate = updateRate(this.symbols.size);
    const address = `/stream?meta=1&max_hz=${rate}&heartbeat=${HEARTBEAT_SECONDS}&symbols=${queryOf(this.symbols)}`;
    const answer = await fetch(address, { cache: "no-store", signal: this.#abort.signal });
    if (answer.status === HAS_UNKNOWN_SYMBOLS) throw { unknown: (await answer.json()).symbols };
    if (!answer.ok) throw { seconds: Math.min(MAX_WAIT_SECONDS, Number(answer.headers.get("Retry-After")) || 0) };
    if (!answer.headers.get("Content-Type")?.startsWith("text/event-stream")) throw {};
    const reader = answer.body.getReader();
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done || !this.#handlers) return;
      this.#expect(SILENCE_TIMEOUT_MS);
      const events = (text + decoder.decode(value, { stream: true })).split("\n\n");
      text = events.pop();
      this.#handlers.onEvents(events.map(parseEvent));
    }
  }
}

function queryOf(symbols) {
  return [...symbols].map(encodeURIComponent).join(",");
}

// The name and the data of an event; data is undefined if it is no JSON.
export function parseEvent(text) {
  const fields = { event: "", data: "" };
  for (const line of text.split("\n")) {
    const [, name, value] = line.match(/^(\w+): ?(.*)$/) ?? [];
    if (name === "data") fields.data += value;
    else if (name) fields[name] = value;
  }
  try {
    return { name: fields.event, data: JSON.parse(fields.data) };
  } catch {
    return {};
  }
}

export class SharedStream {
  #pages = new Map(); // from port to { symbols, silentSweeps }
  #wanted = new Set(); // symbols of all pages, as far as one address can name them
  #latest = new Map(); // the newest update of each symbol
  #frames = new Map(); // the newest frame of each kind and subject
  #unknown = new Set(); // symbols that the server did not know
  #current = null; // the stream whose updates the pages get
  #next = null; // the stream that replaces it as soon as it brings something, so that no price is late
  #attempt = 0;
  #failures = 0;
  #retryAt = 0; // no attempt before this time
  #timer = 0;
  #dueAt = 0;
  #sweeps = 0;

  constructor() {
    setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS);
  }

  accept(port) {
    port.onmessage = ({ data }) => this.#receive(port, data);
  }

  #receive(port, { symbols, isCheck }) {
    if (!this.#pages.has(port)) port.postMessage({ frames: [...this.#frames.values()] });
    const known = symbols.filter((symbol) => !this.#pages.get(port)?.symbols.has(symbol) && this.#latest.has(symbol));
    this.#pages.set(port, { symbols: new Set(symbols), silentSweeps: 0 });
    if (known.length) port.postMessage({ updates: known.map((symbol) => this.#latest.get(symbol)) });
    if (isCheck) this.#check();
    this.#adjust();
    this.#tell(port);
  }

  #check() {
    this.#unknown.clear();
    this.#attempt = this.#retryAt = 0;
    this.#collect();
    if (this.#wanted.size && !this.#next) this.#connect();
  }

  #collect() {
    this.#wanted = new Set();
    let length = 0;
    for (const { symbols } of this.#pages.values()) {
      for (const symbol of symbols) {
        if (this.#wanted.has(symbol) || this.#unknown.has(symbol)) continue;
        length += encodeURIComponent(symbol).length + 1;
        if (length > MAX_QUERY_LENGTH) return;
        this.#wanted.add(symbol);
      }
    }
  }

  // Plans a new stream if the pages need other symbols than the stream brings.
  #adjust() {
    this.#collect();
    const symbols = (this.#next ?? this.#current)?.symbols ?? new Set();
    const isCovered = [...this.#wanted].every((symbol) => symbols.has(symbol));
    if (isCovered && this.#wanted.size === symbols.size) this.#cancel();
    else this.#plan(isCovered ? LEAVE_DELAY_MS : JOIN_DELAY_MS);
  }

  #plan(delay) {
    const at = Math.max(performance.now() + delay, this.#retryAt);
    if (this.#timer && this.#dueAt <= at) return;
    this.#cancel();
    this.#dueAt = at;
    this.#timer = setTimeout(() => this.#connect(), at - performance.now());
  }

  #cancel() {
    clearTimeout(this.#timer);
    this.#timer = 0;
  }

  #connect() {
    this.#cancel();
    this.#next?.stop();
    this.#next = null;
    this.#collect();
    for (const symbol of this.#latest.keys()) if (!this.#wanted.has(symbol)) this.#latest.delete(symbol);
    if (this.#wanted.size) {
      const stream = new Stream(this.#wanted, {
        onEvents: (events) => this.#read(stream, events),
        onEnd: (reason) => this.#lose(stream, reason),
      });
      this.#next = stream;
    } else {
      this.#current?.stop();
      this.#current = null;
    }
  }

  #read(stream, events) {
    if (stream === this.#next) this.#begin(stream);
    const updates = [];
    for (const { name, data } of events) {
      if (name === "update" && this.#keep(data)) updates.push(data);
      else if (name === "heartbeat") this.#beat(data);
      else if (name === "frame") this.#keepFrame(data);
    }
    if (!updates.length) return;
    for (const [port, { symbols }] of this.#pages) {
      const own = updates.filter(({ symbol }) => symbols.has(symbol));
      if (own.length) port.postMessage({ updates: own });
    }
  }

  #begin(stream) {
    this.#current?.stop();
    this.#current = stream;
    this.#next = null;
    this.#failures = this.#retryAt = 0;
    this.#frames.clear(); // the stream brings all of them
    this.#keepFrame({ type: "service", lists: true }); // unless another frame follows
    this.#tellAll();
  }

  #keep(update) {
    const { symbol } = update ?? {};
    if (!this.#wanted.has(symbol) || !isNewer(update, this.#latest.get(symbol) ?? {})) return false;
    this.#latest.set(symbol, update);
    return true;
  }

  #keepFrame(frame) {
    // A firing of an alert is no state: pages that open later do not report it again.
    if (frame.type !== "alert") this.#frames.set([frame.type, frame.symbol ?? frame.source ?? frame.id].join(), frame);
    this.#broadcast({ frames: [frame] });
  }

  // Resets the delay only at the second heartbeat: a failing gateway may accept streams and drop them.
  #beat({ timestamp, n }) {
    if (n > 1) this.#attempt = 0;
    this.#broadcast({ time: timestamp / 1000 });
  }

  #broadcast(message) {
    for (const port of this.#pages.keys()) port.postMessage(message);
  }

  #lose(stream, { isTimeout, unknown, seconds = 0 }) {
    if (stream === this.#current) this.#current = null;
    else {
      this.#next = null;
      if (Array.isArray(unknown) && unknown.some((symbol) => this.#wanted.has(symbol))) {
        for (const symbol of unknown) this.#unknown.add(symbol);
        this.#adjust();
        this.#tellAll();
        return;
      }
      this.#failures += isTimeout ? FAILURES_OF_TIMEOUT : 1;
    }
    const delay = Math.max(retryDelay(this.#attempt++, Math.random(), MAX_DELAY_MS), seconds * 1000);
    this.#retryAt = performance.now() + delay;
    if (!this.#next) this.#adjust();
    this.#tellAll();
  }

  #tell(port) {
    const { symbols } = this.#pages.get(port);
    const needed = [...symbols].filter((symbol) => !this.#unknown.has(symbol));
    const isLive = this.#current !== null && needed.every((symbol) => this.#current.symbols.has(symbol));
    const isTooLong = needed.some((symbol) => !this.#wanted.has(symbol));
    port.postMessage({ isLive, failures: isTooLong ? Infinity : this.#failures });
  }

  #tellAll() {
    for (const port of this.#pages.keys()) this.#tell(port);
  }

  #sweep() {
    for (const [port, page] of this.#pages) {
      page.silentSweeps += 1;
      if (page.silentSweeps > MAX_SILENT_SWEEPS) this.#pages.delete(port);
    }
    this.#sweeps += 1;
    if (this.#sweeps % SWEEPS_BEFORE_ASKING_AGAIN === 0) this.#unknown.clear();
    this.#adjust();
  }
}
