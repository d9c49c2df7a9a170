// Patches the cells of the table that the server rendered: once per animation frame, at most four times a second per
// row, and only text that changed. Rows are never made, moved or replaced here.

import { NOTHING, arrowOf, sideOf, writeAge, writeNumber, writeSigned } from "./format.js";
import { changeOf } from "./quotes.js";

const PAINT_EVERY = 250;
// A row that flashed rests for about two seconds, by chance apart from its neighbours: ten updates a second would
// otherwise colour the whole table for good, and the colour would say nothing.
const FLASH_REST = 1500;
const FLASH_SPREAD = 2000;

// What the server wrote into a row, as `Quotes.watch` takes it.
export function readRow(row) {
  const { base, decimals, price, timestamp, seq } = row.dataset;
  const update = price && { price: Number(price), timestamp: Number(timestamp), seq_id: Number(seq) };
  return { base: Number(base), decimals: Number(decimals), active: !row.classList.contains("off"), update };
}

class Row {
  constructor(element, price) {
    this.element = element;
    this.name = element.querySelector(".name");
    this.last = element.querySelector(".last");
    this.change = element.querySelector(".change");
    this.arrow = element.querySelector(".arrow");
    this.value = element.querySelector(".value");
    this.percent = element.querySelector(".percent");
    this.time = element.querySelector("time");
    this.price = price;
    this.paintedAt = -Infinity;
    this.restsUntil = 0;
    this.last.addEventListener("animationend", () => setClass(this.last, "last"));
  }

  paintPrice(quote, moves, now) {
    this.paintedAt = now;
    if (quote.name !== undefined) setText(this.name, quote.name);
    const moved = changeOf(quote);
    if (!moved) return;
    this.element.classList.remove("bare");
    setText(this.last, writeNumber(quote.price, quote.decimals));
    const change = writeSigned(moved.change, quote.decimals);
    const side = sideOf(change);
    setText(this.arrow, arrowOf(side));
    setText(this.value, change);
    setText(this.percent, writePercent(moved.percent));
    setClass(this.change, `change ${side}`);
    setClass(this.percent, `percent ${side}`);
    this.time.dateTime = new Date(quote.timestamp / 1000).toISOString();
    if (moves && now >= this.restsUntil) this.flash(quote.price - this.price, now);
    this.price = quote.price;
  }

  flash(step, now) {
    if (!step || Number.isNaN(step)) return;
    this.last.classList.add(step > 0 ? "flash-up" : "flash-down");
    this.restsUntil = now + FLASH_REST + Math.random() * FLASH_SPREAD;
  }

  paintAge(quote, age, staleAfter) {
    const stale = age > staleAfter;
    this.element.classList.toggle("off", !quote.active);
    this.element.classList.toggle("stale", stale);
    if (!quote.active) setText(this.time, "off");
    else if (age === undefined) setText(this.time, NOTHING);
    else setText(this.time, (stale ? "stale " : "") + writeAge(age));
  }
}

export class Table {
  #rows = new Map();
  #dirty = new Set();
  #quotes;
  #clock;
  #staleAfter;
  #still = matchMedia("(prefers-reduced-motion: reduce)");
  #frame = 0;
  #timer = 0;

  // `staleAfter` in milliseconds.
  constructor(elements, quotes, clock, staleAfter) {
    this.#quotes = quotes;
    this.#clock = clock;
    this.#staleAfter = staleAfter;
    for (const element of elements) {
      const { symbol } = element.dataset;
      this.#rows.set(symbol, new Row(element, quotes.get(symbol).price));
    }
  }

  // The symbol has something new to show.
  mark(symbol) {
    this.#dirty.add(symbol);
    this.refresh();
  }

  // Ages and what waits are painted at the next frame.
  refresh() {
    this.#frame ||= requestAnimationFrame(() => this.#paint(performance.now()));
  }

  #paint(now) {
    this.#frame = 0;
    clearTimeout(this.#timer);
    let wait = PAINT_EVERY;
    for (const symbol of this.#dirty) {
      const row = this.#rows.get(symbol);
      const rest = row.paintedAt + PAINT_EVERY - now;
      if (rest > 0) wait = Math.min(wait, rest);
      else {
        row.paintPrice(this.#quotes.get(symbol), !this.#still.matches, now);
        this.#dirty.delete(symbol);
      }
    }
    for (const [symbol, row] of this.#rows) this.#paintAge(symbol, row, now);
    if (this.#dirty.size) this.#timer = setTimeout(() => this.refresh(), wait);
  }

  #paintAge(symbol, row, now) {
    const quote = this.#quotes.get(symbol);
    const { timestamp } = quote;
    const age = timestamp === undefined ? undefined : this.#clock.now(now) - timestamp / 1000;
    row.paintAge(quote, age, this.#staleAfter);
  }
}

function writePercent(percent) {
  const written = writeSigned(percent, 2);
  return written === NOTHING ? NOTHING : `${written}%`;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setClass(node, text) {
  if (node.className !== text) node.className = text;
}
