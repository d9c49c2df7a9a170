// Prices by plain HTTP, for networks that let no socket through. Knows no DOM.

const POLL_EVERY = 2000;
const REASONS = {
  origin: "not allowed from this site",
  "address rate": "too many connections from your address",
  full: "too many people at once",
  "no tickers": "the database does not answer",
};

// What the gateway says about a socket that it did not let in: a sentence, or nothing where it would let one in.
export async function askWhy() {
  const answer = await fetch("/ws/status", { cache: "no-store" });
  if (!answer.ok) return "";
  const { ok, reason } = await answer.json();
  return ok ? "" : (REASONS[reason] ?? "");
}

export class Poller {
  #handlers;
  #symbols = [];
  #timer = 0;
  #running = false;
  #round = 0; // a try of an earlier round that comes back late goes on no more

  // Handlers: onUpdate, and onWork(works) after each try.
  constructor(handlers) {
    this.#handlers = handlers;
  }

  get running() {
    return this.#running;
  }

  start(symbols) {
    this.#symbols = symbols;
    if (this.#running) return;
    this.#running = true;
    this.#round += 1;
    this.#poll(this.#round);
  }

  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
  }

  async #poll(round) {
    let works = false;
    try {
      const query = this.#symbols.slice(0, 200).map(encodeURIComponent).join(",");
      // The browser keeps the answer's ETag and asks with it by itself.
      const answer = await fetch(`/api/quotes?symbols=${query}`, { cache: "no-cache" });
      if (answer.ok) {
        const { quotes } = await answer.json();
        if (this.#goesOn(round)) for (const update of quotes) this.#handlers.onUpdate(update);
        works = true;
      }
    } catch {
      // Said below: it does not work.
    }
    if (!this.#goesOn(round)) return;
    this.#handlers.onWork(works);
    this.#timer = setTimeout(() => this.#poll(round), POLL_EVERY);
  }

  #goesOn(round) {
    return this.#running && round === this.#round;
  }
}
