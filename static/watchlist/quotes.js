// Holds the newest update and the day of each symbol on the page. Pure.

// Returns whether `update` is newer than the quote `than`, compared by (timestamp, seq_id).
// tests/cases/newer_than.json tests this here and on the server.
export function isNewer(update, than) {
  if (than.timestamp === undefined) return true;
  if (update.timestamp !== than.timestamp) return update.timestamp > than.timestamp;
  return update.seq_id > than.seq_id;
}

export class Quotes {
  #bySymbol = new Map();

  // Adds a symbol with the values that readRow returns. If the symbol is known, only a newer update is taken.
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

  // The timestamp of the newest update of all symbols, in unix microseconds; undefined before the first update.
  get newestTimestamp() {
    let newest;
    for (const { timestamp } of this.#bySymbol.values()) {
      if (timestamp !== undefined && !(timestamp <= newest)) newest = timestamp;
    }
    return newest;
  }

  // Applies an update that is valid, of a watched symbol, and newer than the known one. Returns whether it was applied.
  applyUpdate({ symbol, price, timestamp, seq_id }) {
    const quote = this.#bySymbol.get(symbol);
    if (!quote || ![price, timestamp, seq_id].every(Number.isFinite)) return false;
    if (!isNewer({ timestamp, seq_id }, quote)) return false;
    Object.assign(quote, { price, timestamp, seq_id });
    if (price > quote.high) quote.high = price;
    if (price < quote.low) quote.low = price;
    return true;
  }

  // Applies a `ticker` frame: the ticker was edited, or a market day ended. Returns whether it was applied.
  applyTicker({ symbol, name, base, decimals, active, previous_close }) {
    const quote = this.#bySymbol.get(symbol);
    if (!quote || !Number.isFinite(base) || !Number.isInteger(decimals)) return false;
    Object.assign(quote, { name, base, decimals, active: active !== false });
    if (Number.isFinite(previous_close) && previous_close !== quote.previousClose) {
      const dayEnded = quote.previousClose !== undefined;
      quote.previousClose = previous_close;
      if (dayEnded) quote.open = quote.high = quote.low = quote.price;
    }
    return true;
  }
}

// Returns the price that changes are relative to: the previous close, or the base price before the first close.
export function referencePrice({ previousClose, base }) {
  return previousClose ?? base;
}

// Returns the change from the reference price, and the same in percent; undefined before the first update.
// tests/cases/change.json tests this here and on the server.
export function changeOf(quote) {
  const { price } = quote;
  const reference = referencePrice(quote);
  return price === undefined ? undefined : { change: price - reference, percent: (price / reference - 1) * 100 };
}
