// The order of rows by a column, kept up while prices move, by the rules of watchlist/page/sorting.py. Rows never jump under the
// pointer or the focus: they wait until both are elsewhere.

import { changeOf } from "./quotes.js";
import { rowsOf } from "./merge.js";

const SORT_EVERY = 2000;
const MOVING = new Set(["last", "change", "percent", "high", "low"]);
const RISING_FIRST = new Set(["symbol", "age"]);

const VALUES = {
  symbol: (quote) => quote.symbol,
  last: (quote) => quote.price,
  change: (quote) => changeOf(quote)?.change,
  percent: (quote) => changeOf(quote)?.percent,
  open: (quote) => quote.open,
  high: (quote) => quote.high,
  low: (quote) => quote.low,
  age: (quote) => (quote.timestamp === undefined ? undefined : -quote.timestamp),
};

// What a press on a column's header leads to: the first sorts, the second turns round, the third is the own order.
export function nextSort(column, sort) {
  const first = RISING_FIRST.has(column) ? column : `-${column}`;
  const other = RISING_FIRST.has(column) ? `-${column}` : column;
  if (sort !== first && sort !== other) return first;
  return sort === first ? other : "";
}

// The items in order; what has no value comes last either way. `quoteOf` gives an item's quote.
export function arrange(items, sort, quoteOf) {
  const column = sort.replace(/^-/, "");
  const sign = sort.startsWith("-") ? -1 : 1;
  const value = (item) => VALUES[column](quoteOf(item));
  const valued = items.filter((item) => value(item) !== undefined);
  const bare = items.filter((item) => value(item) === undefined);
  const compare = (one, other) => (value(one) < value(other) ? -sign : value(one) > value(other) ? sign : 0);
  return [...valued.sort(compare), ...bare];
}

export class Sorter {
  #quotes;
  #onSort;
  #sort = "";
  #pointed = false;

  // `onSort(sort, words)` is called when a person chose another order.
  constructor(quotes, onSort) {
    this.#quotes = quotes;
    this.#onSort = onSort;
    const board = document.getElementById("workspace");
    board.addEventListener("click", (event) => this.#press(event));
    board.addEventListener("pointerover", (event) => (this.#pointed = Boolean(event.target.closest("#quotes tbody"))));
    board.addEventListener("pointerleave", () => (this.#pointed = false));
    setInterval(() => this.#keep(), SORT_EVERY);
  }

  get sort() {
    return this.#sort;
  }

  // After the server answered: its headers say which order is in force.
  sync() {
    const header = document.querySelector('#quotes th[aria-sort="ascending"], #quotes th[aria-sort="descending"]');
    const column = header?.querySelector("a").dataset.sort ?? "";
    this.#sort = header?.getAttribute("aria-sort") === "descending" ? `-${column}` : column;
  }

  #press(event) {
    const link = event.target.closest("thead a[data-sort]");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const sort = nextSort(link.dataset.sort, this.#sort);
    const words = link.firstChild.textContent.trim();
    this.#sort = sort;
    this.#onSort(sort, sort ? `Sorted by ${words}, ${sort.startsWith("-") ? "descending" : "ascending"}` : "Your own order");
    if (!sort) return; // the server alone knows it
    this.#mark();
    this.#apply();
  }

  #mark() {
    const column = this.#sort.replace(/^-/, "");
    for (const header of document.querySelectorAll("#quotes th[aria-sort]")) {
      const link = header.querySelector("a");
      const here = link.dataset.sort === column;
      const direction = this.#sort.startsWith("-") ? "descending" : "ascending";
      header.setAttribute("aria-sort", here ? direction : "none");
      const address = new URL(link.href);
      address.searchParams.set("sort", nextSort(link.dataset.sort, this.#sort));
      link.href = address;
    }
    for (const input of document.querySelectorAll("#content input[name=sort]")) input.value = this.#sort;
    for (const button of document.querySelectorAll("#quotes button.move")) button.hidden = true;
  }

  #keep() {
    const body = document.querySelector("#quotes tbody");
    if (!body || !MOVING.has(this.#sort.replace(/^-/, "")) || document.hidden) return;
    if (this.#pointed || body.contains(document.activeElement) || body.querySelector("details[open]")) return;
    if (document.documentElement.classList.contains("paused")) return;
    this.#apply();
  }

  #apply() {
    const body = document.querySelector("#quotes tbody");
    let place = body.firstElementChild;
    for (const row of arrange(rowsOf(document), this.#sort, (row) => this.#quotes.get(row.dataset.symbol))) {
      if (row === place) place = place.nextElementSibling;
      else body.insertBefore(row, place);
    }
  }
}
