// Polls prices over HTTP, for networks that block WebSockets. Knows no DOM.

const INTERVAL_MS = 2000;
const MAX_SYMBOLS = 200;
const REASONS = {
  origin: "not allowed from this site",
  "address rate": "too many connections from your address",
  full: "the server is full",
  "no tickers": "the database does not answer",
};

// Why the gateway refuses connections, as text; empty if it accepts them.
export async function fetchRefusalReason() {
  const answer = await fetch("/ws/status", { cache: "no-store" });
  if (!answer.ok) return "";
  const { ok, reason } = await answer.json();
  return ok ? "" : (REASONS[reason] ?? "");
}

export class Poller {
  #handlers;
  #symbols = [];
  #timer = 0;
  #isRunning = false;
  #run = 0; // late answers of an earlier run are ignored

  // Handlers: onUpdate, and onResult(succeeded) after each request.
  constructor(handlers) {
    this.#handlers = handlers;
  }

  get isRunning() {
    return this.#isRunning;
  }

  // If it is running, replaces the symbols.
  start(symbols) {
    this.#symbols = symbols;
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#run += 1;
    this.#poll(this.#run);
  }

  stop() {
    this.#isRunning = false;
    clearTimeout(this.#timer);
  }

  async #poll(run) {
    let succeeded = false;
    try {
      const query = this.#symbols.slice(0, MAX_SYMBOLS).map(encodeURIComponent).join(",");
      // `no-cache`: the browser sends the ETag of the last answer.
      const answer = await fetch(`/api/quotes?symbols=${query}`, { cache: "no-cache" });
      if (answer.ok) {
        const { quotes } = await answer.json();
        if (this.#isCurrent(run)) for (const update of quotes) this.#handlers.onUpdate(update);
        succeeded = true;
      }
    } catch {
      // onResult reports the failure.
    }
    if (!this.#isCurrent(run)) return;
    this.#handlers.onResult(succeeded);
    this.#timer = setTimeout(() => this.#poll(run), INTERVAL_MS);
  }

  #isCurrent(run) {
    return this.#isRunning && run === this.#run;
  }
}
