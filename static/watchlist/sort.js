// Sorts the rows and keeps them sorted, by the rules of watchlist/page/sorting.py.

import { rowsOf } from "./row.js";
import { changeOf } from "./quotes.js";

const SORT_INTERVAL_MS = 2000;
const LIVE_COLUMNS = new Set(["last", "change", "percent", "high", "low", "bid", "ask", "volume", "day-range", "year-range"]);
const ASCENDING_FIRST = new Set(["symbol", "age"]);

const VALUES = {
  symbol: (quote) => quote.symbol,
  last: (quote) => quote.price,
  change: (quote) => changeOf(quote)?.change,
  percent: (quote) => changeOf(quote)?.percent,
  open: (quote) => quote.open,
  high: (quote) => quote.high,
  low: (quote) => quote.low,
  bid: (quote) => quote.bid,
  ask: (quote) => quote.ask,
  volume: (quote) => quote.volume || undefined,
  "day-range": ({ price, low, high }) => shareOf(price, low, high),
  "year-range": ({ price, yearLow, yearHigh }) => shareOf(price, yearLow, yearHigh),
  age: (quote) => (quote.timestamp === undefined ? undefined : -quote.timestamp),
};

// Where a price is in a range, from 0 to 1; undefined if one of them is unknown.
export function shareOf(price, low, high) {
  if (price === undefined || low === undefined) return undefined;
  const span = Math.max(high, price) - Math.min(low, price);
  return span > 0 ? (price - Math.min(low, price)) / span : 0.5;
}

// The sort after a click on a header, such as `-percent`. The third click restores the list's own order, "".
export function nextSort(column, sort) {
  const first = ASCENDING_FIRST.has(column) ? column : `-${column}`;
  const reverse = ASCENDING_FIRST.has(column) ? `-${column}` : column;
  if (sort !== first && sort !== reverse) return first;
  return sort === first ? reverse : "";
}

// Items without a value come last in both directions. `quoteOf` returns an item's quote.
export function sortItems(items, sort, quoteOf) {
  const column = sort.replace(/^-/, "");
  const sign = sort.startsWith("-") ? -1 : 1;
  const value = (item) => VALUES[column](quoteOf(item));
  const withValue = items.filter((item) => value(item) !== undefined);
  const withoutValue = items.filter((item) => value(item) === undefined);
  const compare = (one, other) => (value(one) < value(other) ? -sign : value(one) > value(other) ? sign : 0);
  return [...withValue.sort(compare), ...withoutValue];
}

export class Sorter {
  #quotes;
  #onSort;
  #sort = "";
  #isPointed = false;

  // `onSort(sort, description)` is called after a click on a header.
  constructor(quotes, onSort) {
    this.#quotes = quotes;
    this.#onSort = onSort;
    const workspace = document.getElementById("workspace");
    workspace.addEventListener("click", (event) => this.#click(event));
    workspace.addEventListener("pointerover", (event) => {
      this.#isPointed = event.target.closest("#quotes tbody") !== null;
    });
    workspace.addEventListener("pointerleave", () => (this.#isPointed = false));
    setInterval(() => this.#sortLive(), SORT_INTERVAL_MS);
  }

  // Reads the sort from the headers.
  sync() {
    const header = document.querySelector('#quotes th[aria-sort="ascending"], #quotes th[aria-sort="descending"]');
    const column = header?.querySelector("a").dataset.sort ?? "";
    this.#sort = header?.getAttribute("aria-sort") === "descending" ? `-${column}` : column;
  }

  get #column() {
    return this.#sort.replace(/^-/, "");
  }

  get #direction() {
    return this.#sort.startsWith("-") ? "descending" : "ascending";
  }

  #click(event) {
    const link = event.target.closest("thead a[data-sort]");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const name = link.firstChild.textContent.trim();
    this.#sort = nextSort(link.dataset.sort, this.#sort);
    this.#onSort(this.#sort, this.#sort ? `Sorted by ${name}, ${this.#direction}` : "Your own order");
    if (!this.#sort) return; // only the server knows that order
    this.#updateHeaders();
    this.#moveRows();
  }

  #updateHeaders() {
    for (const header of document.querySelectorAll("#quotes th[aria-sort]")) {
      const link = header.querySelector("a");
      const { sort: column } = link.dataset;
      header.setAttribute("aria-sort", column === this.#column ? this.#direction : "none");
      const address = new URL(link.href);
      address.searchParams.set("sort", nextSort(column, this.#sort));
      link.href = address;
    }
    for (const input of document.querySelectorAll("#content input[name=sort]")) input.value = this.#sort;
    for (const button of document.querySelectorAll("#quotes button.move")) button.hidden = true;
  }

  #sortLive() {
    const body = document.querySelector("#quotes tbody");
    if (!body || !LIVE_COLUMNS.has(this.#column) || document.hidden) return;
    // Rows do not move under the pointer or the focus.
    if (this.#isPointed || body.contains(document.activeElement) || body.querySelector("details[open]")) return;
    if (document.documentElement.classList.contains("paused")) return;
    this.#moveRows();
  }

  #moveRows() {
    const body = document.querySelector("#quotes tbody");
    let next = body.firstElementChild;
    for (const row of sortItems(rowsOf(document), this.#sort, (row) => this.#quotes.shown(row.dataset.symbol))) {
      if (row === next) next = next.nextElementSibling;
      else body.insertBefore(row, next);
    }
  }
}
