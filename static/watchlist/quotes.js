// The newest value of every symbol, and the server's clock. Knows neither socket nor DOM.

// Newer is the greater pair (timestamp, seq_id); an equal one is a repeat.
export function isNewer(update, than) {
  if (than.timestamp === undefined) return true;
  if (update.timestamp !== than.timestamp) return update.timestamp > than.timestamp;
  return update.seq_id > than.seq_id;
}

export class Quotes {
  #bySymbol = new Map();
  #newest;

  // A symbol that is watched: what the ticker says, and the update that the page came with, if any.
  watch(symbol, { base, decimals, active, update }) {
    this.#bySymbol.set(symbol, { symbol, base, decimals, active });
    if (update) this.take({ symbol, ...update });
  }

  symbols() {
    return [...this.#bySymbol.keys()];
  }

  get(symbol) {
    return this.#bySymbol.get(symbol);
  }

  // Timestamp (unix microseconds) of the newest update of all, undefined while there is none.
  get newest() {
    return this.#newest;
  }

  // Whether the update was taken: it is of a watched symbol, well formed, and newer than what is there.
  take({ symbol, price, timestamp, seq_id }) {
    const quote = this.#bySymbol.get(symbol);
    if (!quote || ![price, timestamp, seq_id].every(Number.isFinite)) return false;
    if (!isNewer({ timestamp, seq_id }, quote)) return false;
    Object.assign(quote, { price, timestamp, seq_id });
    this.#newest = Math.max(this.#newest ?? 0, timestamp);
    return true;
  }

  // The ticker itself changed: its base price, how it is written, whether it is switched on.
  retick({ symbol, name, base, decimals, active }) {
    const quote = this.#bySymbol.get(symbol);
    if (!quote || !Number.isFinite(base) || !Number.isInteger(decimals)) return false;
    Object.assign(quote, { name, base, decimals, active: active !== false });
    return true;
  }
}

// Change and change in percent against the base price; undefined while there is no price.
export function changeOf({ price, base }) {
  return price === undefined ? undefined : { change: price - base, percent: (price / base - 1) * 100 };
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
