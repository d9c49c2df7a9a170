// Holds the newest update and the day of each symbol on the page. Pure.

import { ageOf } from "./clock.js";

const MAX_TIMESTAMP = 8.64e18; // the latest time of a Date, in microseconds
const MAX_DECIMALS = 20;

// Returns whether `update` is newer than the quote `than`, by (timestamp, seq_id). The server has the same rule:
// tests/cases/newer_than.json tests this function and the server's.
export function isNewer(update, than) {
  if (than.timestamp === undefined) return true;
  if (update.timestamp !== than.timestamp) return update.timestamp > than.timestamp;
  return update.seq_id > than.seq_id;
}

export class Quotes {
  #bySymbol = new Map();
  #frozen = null; // the quotes that a paused page shows, by symbol

  // Adds a symbol with the data that readRow returns. If the symbol is known, applies only a newer update.
  watch(symbol, { update, ...facts }) {
    if (!this.#bySymbol.has(symbol)) this.#bySymbol.set(symbol, { symbol, ...facts });
    if (update) this.applyUpdate({ symbol, ...update });
  }

  unwatch(symbol) {
    this.#bySymbol.delete(symbol);
  }

  symbols() {
    return [...this.#bySymbol.keys()];
  }

  get(symbol) {
    return this.#bySymbol.get(symbol);
  }

  // Freezes the shown quotes while the page is paused. A symbol that is added to a paused page shows its first quote.
  setFrozen(isFrozen) {
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

  // Returns whether the page has a symbol with simulated prices. The generator always sends new prices, so old prices
  // of such a symbol are a fault.
  get hasSimulated() {
    return [...this.#bySymbol.values()].some(({ source }) => !source);
  }

  // Returns the age of the newest update of all symbols, as ageOf does. If some ages are unknown, only the known ages
  // count.
  age(serverTime) {
    let least;
    for (const { timestamp } of this.#bySymbol.values()) {
      const age = ageOf(timestamp, serverTime);
      if (age < least || Number.isNaN(least)) least = age ?? least;
      else least ??= age;
    }
    return least;
  }

  // Applies an update. Returns false if the update is invalid or stale, or if its symbol is not on the page.
  applyUpdate(update) {
    const { symbol, price, timestamp, seq_id, bid, ask } = update ?? {};
    const quote = this.#bySymbol.get(symbol);
    if (!quote || ![price, timestamp, seq_id].every(Number.isFinite)) return false;
    if (Math.abs(timestamp) > MAX_TIMESTAMP) return false;
    if (!isNewer({ timestamp, seq_id }, quote)) return false;
    Object.assign(quote, { price, timestamp, seq_id });
    // An update may have no bid and no ask. The earlier pair then stays, with the time of its own update.
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
    return true;
  }
}

// Returns the reference price: the previous close, or the base price before the first close.
export function referencePrice({ previousClose, base }) {
  return previousClose ?? base;
}

// Returns the name of the reference price of rows with these previous closes. `names` holds three names: for no close,
// for some closes, and for a close in each row. tests/cases/reference_name.json tests this function and the server's.
export function referenceName(closes, names) {
  if (!closes.some(Boolean)) return names[0];
  return names[closes.every(Boolean) ? 2 : 1];
}

// Returns the change from the reference price, and the change in percent; undefined before the first update.
// tests/cases/change.json tests this function and the server's.
export function changeOf(quote) {
  const { price } = quote;
  const reference = referencePrice(quote);
  return price === undefined ? undefined : { change: price - reference, percent: (price / reference - 1) * 100 };
}
