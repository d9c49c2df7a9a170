// The newest value of every symbol, its day, and the server's clock. Knows neither socket nor DOM.

// Newer is the greater pair (timestamp, seq_id); an equal one is a repeat.
export function isNewer(update, than) {
  if (than.timestamp === undefined) return true;
  if (update.timestamp !== than.timestamp) return update.timestamp > than.timestamp;
  return update.seq_id > than.seq_id;
}

export class Quotes {
  #bySymbol = new Map();

  // A symbol that is watched: what the ticker says, its day, and the update that the page came with, if any. What is
  // known of it already stays where it is newer.
  watch(symbol, { base, decimals, active, close, open, high, low, update }) {
    if (!this.#bySymbol.has(symbol)) {
      this.#bySymbol.set(symbol, { symbol, base, decimals, active, close, open, high, low });
    }
    if (update) this.take({ symbol, ...update });
  }

  forget(symbol) {
    this.#bySymbol.delete(symbol);
  }

  symbols() {
    return [...this.#bySymbol.keys()];
  }

  get(symbol) {
    return this.#bySymbol.get(symbol);
  }

  // Timestamp (unix microseconds) of the newest update of all, undefined while there is none.
  get newest() {
    let newest;
    for (const { timestamp } of this.#bySymbol.values()) {
      if (timestamp !== undefined && !(timestamp <= newest)) newest = timestamp;
    }
    return newest;
  }

  // Whether the update was taken: it is of a watched symbol, well formed, and newer than what is there.
  take({ symbol, price, timestamp, seq_id }) {
    const quote = this.#bySymbol.get(symbol);
    if (!quote || ![price, timestamp, seq_id].every(Number.isFinite)) return false;
    if (!isNewer({ timestamp, seq_id }, quote)) return false;
    Object.assign(quote, { price, timestamp, seq_id });
    if (price > quote.high) quote.high = price;
    if (price < quote.low) quote.low = price;
    return true;
  }

  // The ticker itself changed: its base price, how it is written, whether it is switched on, or its day began anew.
  retick({ symbol, name, base, decimals, active, previous_close }) {
    const quote = this.#bySymbol.get(symbol);
    if (!quote || !Number.isFinite(base) || !Number.isInteger(decimals)) return false;
    Object.assign(quote, { name, base, decimals, active: active !== false });
    if (Number.isFinite(previous_close) && previous_close !== quote.close) {
      const anew = quote.close !== undefined;
      quote.close = previous_close;
      if (anew) quote.open = quote.high = quote.low = quote.price;
    }
    return true;
  }
}

// What changes are against: the previous day's close, before there was one the base price.
export function referenceOf({ close, base }) {
  return close ?? base;
}

// Change and change in percent against the reference; undefined while there is no price.
export function changeOf(quote) {
  const { price } = quote;
  const reference = referenceOf(quote);
  return price === undefined ? undefined : { change: price - reference, percent: (price / reference - 1) * 100 };
}

// The server's time, told from readings of it. The browser's own clock is never asked what time it is: it serves as a
// stopwatch only, so that a wrong one changes nothing. All in milliseconds.
export class Clock {
  #ahead;

  // `server`: unix time that the server wrote; `stopwatch`: performance.now() of that moment.
  constructor(server, stopwatch) {
    this.set(server, stopwatch);
  }

  set(server, stopwatch) {
    this.#ahead = server - stopwatch;
  }

  now(stopwatch) {
    return stopwatch + this.#ahead;
  }
}
