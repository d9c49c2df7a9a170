// Asks for prices every two seconds, where neither sockets nor streams work.

const POLL_INTERVAL_MS = 2000;
const MAX_POLLED_SYMBOLS = 200;

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
      const query = this.#symbols.slice(0, MAX_POLLED_SYMBOLS).map(encodeURIComponent).join(",");
      // `no-cache`: the browser sends the ETag of the last answer.
      const answer = await fetch(`/api/quotes?symbols=${query}`, { cache: "no-cache" });
      if (answer.ok) {
        const { quotes } = await answer.json();
        if (this.#isCurrent(run)) for (const update of quotes) this.#handlers.onUpdate(update);
        succeeded = true;
      }
    } catch {
      // `succeeded` stays false.
    }
    if (!this.#isCurrent(run)) return;
    this.#handlers.onResult(succeeded);
    this.#timer = setTimeout(() => this.#poll(run), POLL_INTERVAL_MS);
  }

  #isCurrent(run) {
    return this.#isRunning && run === this.#run;
  }
}
