// Holds the states of the sources of real prices. Loaded with the first `feed` frame.

import { formatAge } from "./format.js";

const SYMBOL_STATES = ["unknown", "halted", "closed"];
const STATE_WORDS = { silent: "silent", reconnecting: "reconnecting", refused: "refused", maintenance: "maintenance" };

export class Sources {
  #quotes;
  #frames = new Map(); // the newest frame of each source

  constructor(quotes) {
    this.#quotes = quotes;
  }

  apply(frame) {
    if (typeof frame.source !== "string" || typeof frame.state !== "string") return;
    this.#frames.set(frame.source, frame);
    this.mark();
  }

  // Writes into each quote what its row shows. Called again after symbols were added.
  mark() {
    for (const quote of this.#shownQuotes()) {
      const frame = this.#frames.get(quote.source);
      if (!frame) continue;
      quote.symbolState = SYMBOL_STATES.find((state) => frame.symbols?.[state]?.includes(quote.symbol));
      quote.isStale = frame.state !== "connected" || quote.symbolState === "unknown";
    }
  }

  // The first source on the page that is not connected: { label, detail, hint }; undefined without one.
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

  // Whether the page has symbols, and the market of all of them is closed.
  get areAllClosed() {
    const symbols = this.#quotes.symbols();
    return symbols.length > 0 && symbols.every((symbol) => this.#quotes.get(symbol).symbolState === "closed");
  }

  // Those of real sources.
  #shownQuotes() {
    return this.#quotes.symbols().map((symbol) => this.#quotes.get(symbol)).filter(({ source }) => source);
  }
}
