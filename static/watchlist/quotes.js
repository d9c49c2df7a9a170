// Holds the newest update and the day of each symbol on the page.

import { ageOf } from "./clock.js";

const MAX_TIMESTAMP = 8.64e18; // of a Date, in microseconds
const MAX_DECIMALS = 20;

// Whether `update` is newer than the quote `than` by (timestamp, seq_id).
// tests/cases/newer_than.json tests this here and on the server.
export function isNewer(update, than) {
  if (than.timestamp === undefined) return true;
  if (update.timestamp !== than.timestamp) return update.timestamp > than.timestamp;
  return update.seq_id > than.seq_id;
}

export class Quotes {
  #bySymbol = new Map();
  #frozen = null; // copies by symbol
  #newestAt; // the newest update shown while the page is paused, in milliseconds
  sources; // of sources.js
  flowedAt; // performance.now() of the last replaced price

  // Adds a symbol, as readRow returns it. A known symbol takes only a newer update.
  watch(symbol, { update, ...facts }) {
    if (!this.#bySymbol.has(symbol)) this.#bySymbol.set(symbol, { symbol, ...facts });
    if (update) this.applyUpdate({ symbol, ...update });
  }

  keep(symbols) {
    for (const symbol of this.symbols()) if (!symbols.has(symbol)) this.#bySymbol.delete(symbol);
    this.sources?.mark();
  }

  symbols() {
    return [...this.#bySymbol.keys()];
  }

  get(symbol) {
    return this.#bySymbol.get(symbol);
  }

  // While the page is paused, it shows the quotes of that moment; of a symbol that is added later, its first one.
  setFrozen(isFrozen, serverTime) {
    this.#newestAt = serverTime - this.age(serverTime);
    this.#frozen = isFrozen ? Object.create(null) : null;
    if (isFrozen) for (const symbol of this.symbols()) this.shown(symbol);
  }

  get isFrozen() {
    return Boolean(this.#frozen);
  }

  shown(symbol) {
    const quote = this.get(symbol);
    return this.#frozen && quote ? (this.#frozen[symbol] ??= { ...quote }) : quote;
  }

  // Whether old prices are a fault, as they are of the generator.
  get hasSimulated() {
    return [...this.#bySymbol.values()].some(({ source }) => !source);
  }

  // Of the newest update, as ageOf returns it. One with an unknown age counts only if there is no other.
  age(serverTime) {
    if (this.isFrozen) return serverTime - this.#newestAt;
    let least;
    for (const { timestamp } of this.#bySymbol.values()) {
      const age = ageOf(timestamp, serverTime);
      if (age < least || Number.isNaN(least)) least = age ?? least;
      else least ??= age;
    }
    return least;
  }

  // Returns whether it was valid, of a watched symbol, and newer than the known one.
  applyUpdate(update) {
    const { symbol, price, timestamp, seq_id, bid, ask } = update ?? {};
    const quote = this.#bySymbol.get(symbol);
    if (!quote || ![price, timestamp, seq_id].every(Number.isFinite)) return false;
    if (Math.abs(timestamp) > MAX_TIMESTAMP) return false;
    if (!isNewer({ timestamp, seq_id }, quote)) return false;
    if (quote.timestamp) this.flowedAt = performance.now();
    Object.assign(quote, { price, timestamp, seq_id });
    // An update may lack both. A pair has the time of its update.
    if (bid > 0 || ask > 0) Object.assign(quote, { bid, ask, pairAt: timestamp });
    if (price > quote.high) quote.high = price;
    if (price < quote.low) quote.low = price;
    return true;
  }

  // Applies a `ticker` frame: the ticker was edited, or a market day ended. Returns whether it was applied.
  applyTicker({ symbol, name, base, decimals, active, previous_close, source }) {
    const quote = this.#bySymbol.get(symbol);
    if (!quote || !(base > 0) || !Number.isFinite(base)) return false;
    if (!Number.isInteger(decimals) || decimals < 0 || decimals > MAX_DECIMALS) return false;
    Object.assign(quote, { name, base, decimals, active: active !== false });
    if (source) quote.source = source === "simulated" ? undefined : String(source);
    if (previous_close > 0 && Number.isFinite(previous_close) && previous_close !== quote.previousClose) {
      const dayEnded = quote.previousClose !== undefined;
      quote.previousClose = previous_close;
      if (dayEnded) quote.open = quote.high = quote.low = quote.price;
    }
    this.sources?.mark();
    return true;
  }

  async applyFeed(frame) {
    const { Sources } = await import("./sources.js");
    this.sources ??= new Sources(this);
    this.sources.apply(frame);
  }
}

// The price that changes are relative to: the previous close, or the base price before the first close.
export function referencePrice({ previousClose, base }) {
  return previousClose ?? base;
}

// The name of the reference price of rows with these previous closes. `names`: if none, some or all exist.
// tests/cases/reference_name.json tests this here and on the server.
export function referenceName(closes, names) {
  if (!closes.some(Boolean)) return names[0];
  return names[closes.every(Boolean) ? 2 : 1];
}

// Change and change in percent from the reference price; undefined before the first update.
// tests/cases/change.json tests this here and on the server.
export function changeOf(quote) {
  const { price } = quote;
  const reference = referencePrice(quote);
  return price === undefined ? undefined : { change: price - reference, percent: (price / reference - 1) * 100 };
}
