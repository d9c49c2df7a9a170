// Paints the columns bid, ask, volume, day range and 52-week range. Loaded when one of them is shown.

import { formatNumber, NO_VALUE } from "./format.js";
import { rowsOf, setPainter, setText } from "./row.js";
import { shareOf } from "./sort.js";

const PAIR_OLD_AFTER_MS = 10_000;
const CHECK_INTERVAL_MS = 1000;
const REFRESH_INTERVAL_MS = 60_000;
const MAX_SYMBOLS = 200; // of a request
const VOLUME_SIZES = [[1e12, "T"], [1e9, "B"], [1e6, "M"]];
const WIDTH = 100; // of a range bar

// `12,345` or `1.23 M`; tests/cases/volumes.json tests this here and on the server.
export function formatVolume(volume) {
  if (!(volume > 0)) return NO_VALUE;
  for (const [size, letter] of VOLUME_SIZES) {
    if (volume >= size) return `${formatNumber(volume / size, 2)}\u00a0${letter}`;
  }
  return formatNumber(volume, volume < 1 ? 4 : volume < 1000 ? 2 : 0);
}

// `address`: of the days. `serverTime()`: in milliseconds. `isPaused()`: whether the page shows an earlier moment.
export class MarketColumns {
  #quotes;
  #address;
  #serverTime;
  #cells = new WeakMap(); // by element

  constructor(quotes, address, serverTime) {
    this.#quotes = quotes;
    this.#address = address;
    this.#serverTime = serverTime;
    setPainter((element, quote) => this.#paint(element, quote));
    setInterval(() => this.#greyOldPairs(), CHECK_INTERVAL_MS);
    setInterval(() => this.refresh(), REFRESH_INTERVAL_MS);
    document.addEventListener("visibilitychange", () => this.refresh());
  }

  // Takes the 52-week ranges that the server wrote. Called after the rows changed.
  sync() {
    for (const element of document.querySelectorAll("[data-year-low]")) {
      const quote = this.#quotes.get(element.dataset.symbol);
      if (!quote) continue;
      quote.yearLow ??= Number(element.dataset.yearLow);
      quote.yearHigh ??= Number(element.dataset.yearHigh);
    }
    for (const element of this.#elements()) this.#paint(element, this.#quotes.shown(element.dataset.symbol));
  }

  // The socket skips updates, so only the server knows the volume.
  async refresh() {
    if (document.hidden || this.#quotes.isFrozen || !document.querySelector("#content .volume")) return;
    const symbols = this.#quotes.symbols().slice(0, MAX_SYMBOLS);
    if (!symbols.length) return;
    try {
      const query = symbols.map(encodeURIComponent).join(",");
      const answer = await fetch(`${this.#address}?symbols=${query}`, { cache: "no-cache" });
      if (!answer.ok) return;
      for (const { symbol, volume } of (await answer.json()).days) {
        const quote = this.#quotes.get(symbol);
        if (quote) quote.volume = volume;
      }
    } catch {
      return; // the next refresh tries again
    }
    if (!this.#quotes.isFrozen) this.sync();
  }

  #elements() {
    return [...rowsOf(document), document.querySelector("#drawer section")].filter(Boolean);
  }

  #cellsOf(element) {
    let cells = this.#cells.get(element);
    if (!cells) {
      const find = (name) => element.querySelector(`.${name}`);
      const findRange = (name) => {
        const cell = find(name);
        const [low, high] = cell?.querySelectorAll(".ends span") ?? [];
        return low && { low, high, mark: cell.querySelector(".mark") };
      };
      cells = { bid: find("bid"), ask: find("ask"), volume: find("volume") };
      cells.day = findRange("day-range");
      cells.year = findRange("year-range");
      this.#cells.set(element, cells);
    }
    return cells;
  }

  #paint(element, quote) {
    if (!quote) return;
    const { price, decimals } = quote;
    const cells = this.#cellsOf(element);
    const format = (value) => (value > 0 ? formatNumber(value, decimals) : NO_VALUE);
    setText(cells.bid, format(quote.bid));
    setText(cells.ask, format(quote.ask));
    setText(cells.volume, formatVolume(quote.volume));
    if (price === undefined) return;
    if (price < quote.yearLow) quote.yearLow = price;
    if (price > quote.yearHigh) quote.yearHigh = price;
    paintRange(cells.day, quote.low, quote.high, price, decimals);
    paintRange(cells.year, quote.yearLow, quote.yearHigh, price, decimals);
    this.#paintAge(cells, quote);
  }

  #greyOldPairs() {
    if (this.#quotes.isFrozen) return;
    for (const element of this.#elements()) {
      const quote = this.#quotes.get(element.dataset.symbol);
      if (quote) this.#paintAge(this.#cellsOf(element), quote);
    }
  }

  #paintAge({ bid, ask }, { pairAt }) {
    const isOld = pairAt !== undefined && this.#serverTime() - pairAt / 1000 > PAIR_OLD_AFTER_MS;
    bid?.classList.toggle("old", isOld);
    ask?.classList.toggle("old", isOld);
  }
}

function paintRange(cells, low, high, price, decimals) {
  const share = shareOf(price, low, high);
  if (!cells || share === undefined) return;
  setText(cells.low, formatNumber(low, decimals));
  setText(cells.high, formatNumber(high, decimals));
  const path = `M${Math.floor(share * WIDTH + 0.5)} 0V8`;
  if (cells.mark.getAttribute("d") !== path) cells.mark.setAttribute("d", path);
}
