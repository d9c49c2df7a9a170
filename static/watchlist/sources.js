// Holds the states of the sources of real prices. `main.js` loads this module at the first `feed` frame.

import { formatAge } from "./format.js";

const SYMBOL_STATES = ["unknown", "halted", "closed"];
const STATE_WORDS = { silent: "silent", reconnecting: "reconnecting", refused: "refused", maintenance: "maintenance" };

export class Sources {
  #quotes;
  #frames = new Map(); // the newest `feed` frame of each source

  constructor(quotes) {
    this.#quotes = quotes;
  }

  apply(frame) {
    if (typeof frame.source !== "string" || typeof frame.state !== "string") return;
    this.#frames.set(frame.source, frame);
    this.mark();
  }

  // Writes `symbolState` and `isStale` into each quote of a real source. Must be called after symbols were added.
  mark() {
    for (const quote of this.#shownQuotes()) {
      const frame = this.#frames.get(quote.source);
      if (!frame) continue;
      quote.symbolState = SYMBOL_STATES.find((state) => frame.symbols?.[state]?.includes(quote.symbol));
      quote.isStale = frame.state !== "connected" || quote.symbolState === "unknown";
    }
  }

  // Describes the first source on the page that is not connected, as { label, detail, hint }.
  // Returns undefined if all sources are connected.
  problem(serverTime) {
    const used = new Set(this.#shownQuotes().map(({ source }) => source));
    const frames = [...used].map((source) => this.#frames.get(source));
    const problems = frames.filter((frame) => frame && frame.state !== "connected");
    if (!problems.length) return undefined;
    const [{ title, source, state, since, reason }] = problems;
    const others = problems.length > 1 ? ` and ${problems.length - 1} more` : "";
    const age = since > 0 ? formatAge(serverTime - since / 1000) : "";
    const detail = state === "refused" && reason ? reason : age;
    return { label: `${title || source}: ${STATE_WORDS[state] ?? "no connection"}${others}`, detail, hint: reason || "" };
  }

  // Returns whether the markets of all symbols on the page are closed. Returns false for a page without symbols.
  get areAllClosed() {
    const symbols = this.#quotes.symbols();
    return symbols.length > 0 && symbols.every((symbol) => this.#quotes.get(symbol).symbolState === "closed");
  }

  // Returns the quotes of real sources.
  #shownQuotes() {
    return this.#quotes.symbols().map((symbol) => this.#quotes.get(symbol)).filter(({ source }) => source);
  }
}
