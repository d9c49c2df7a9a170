// Paints the cells of one row, or the fields of the drawer. Writes a text only if the text changed.

import { arrowOf, directionOf, formatAge, formatNumber, formatPercent, formatSigned } from "./format.js";
import { changeOf, referencePrice } from "./quotes.js";
import { Sparkline } from "./sparkline.js";

// The words for a symbol that its source does not trade now. The server has the same words.
const STATE_WORDS = { unknown: "Unknown", halted: "Halted", closed: "Closed" };
const CELLS = ["name", "last", "change", "arrow", "value", "percent", "open", "high", "low"];
const VOLUME_UNIT = 1e-8;
const SPARKLINE_INTERVAL_MS = 2000;
const FLASH_MS = 500;
const IDLE_AFTER_MS = 60_000;
// After a flash, a row does not flash for a random time. Otherwise ten updates a second would colour the whole table.
const MIN_FLASH_PAUSE_MS = 1500;
const FLASH_PAUSE_SPREAD_MS = 2000;

// Returns the rows of the table. Leaves out a row whose removal the server has not answered yet.
export function rowsOf(root) {
  return [...root.querySelectorAll("#quotes tbody tr:not([hidden])")];
}

// Returns the data that the server wrote into a row, in the form that Quotes.watch expects.
export function readRow(row) {
  const { base, decimals, close, open, high, low, price, timestamp, seq, bid, ask, volume } = row.dataset;
  const toNumber = (text) => (text === undefined ? undefined : Number(text));
  const pair = { bid: toNumber(bid), ask: toNumber(ask) };
  const update = price && { price: Number(price), timestamp: Number(timestamp), seq_id: Number(seq), ...pair };
  const day = { previousClose: toNumber(close), open: toNumber(open), high: toNumber(high), low: toNumber(low) };
  if (volume) day.volume = volume * VOLUME_UNIT;
  // Until the first `feed` frame, the server's CSS class says whether a price of a real source is stale.
  const state = { source: row.dataset.source, symbolState: row.dataset.state, isStale: row.classList.contains("stale") };
  const active = !row.classList.contains("off");
  return { base: Number(base), decimals: Number(decimals), active, ...state, ...day, update };
}

let paintMore;

// Sets a function that paints more cells of a row: `paint(element, quote)` in columns.js. It is called with each row.
export function setPainter(paint) {
  paintMore = paint;
}

export class Row {
  #element;
  #price; // the price that the row shows
  #sparkline;
  #sparklinePaintedAt = -Infinity;
  #noFlashBefore = 0;
  #flashEndsAt = 0;

  // `price` is the price that the element shows, or undefined.
  constructor(element, price) {
    this.#element = element;
    this.symbol = element.dataset.symbol;
    this.isVisible = true;
    this.paintedAt = -Infinity;
    for (const name of CELLS) this[name] = element.querySelector(`.${name}`);
    this.time = element.querySelector(".age time");
    // Only the drawer has these elements.
    this.basePrice = element.querySelector("[data-base-price]");
    this.previousClose = element.querySelector("[data-previous-close]");
    this.reference = element.querySelector("[data-reference-after-close]");
    const svg = element.querySelector(".spark svg");
    this.#sparkline = svg && new Sparkline(svg);
    this.#price = price;
  }

  paint(quote, flashes, now) {
    this.paintedAt = now;
    if (quote.name !== undefined) setText(this.name, quote.name);
    if (this.basePrice) this.#paintReference(quote);
    const moved = changeOf(quote);
    if (!moved) return;
    paintMore?.(this.#element, quote);
    const { price, decimals, timestamp } = quote;
    this.#element.classList.remove("no-price");
    setText(this.last, formatNumber(price, decimals));
    const direction = this.#paintChange(moved, decimals);
    if (quote.high !== undefined) {
      setText(this.open, formatNumber(quote.open, decimals));
      setText(this.high, formatNumber(quote.high, decimals));
      setText(this.low, formatNumber(quote.low, decimals));
    }
    if (this.time) this.time.dateTime = new Date(timestamp / 1000).toISOString();
    if (flashes && this.isVisible && now >= this.#noFlashBefore) this.#flash(price - this.#price, now);
    this.#price = price;
    if (this.#sparkline && now - this.#sparklinePaintedAt > SPARKLINE_INTERVAL_MS) {
      this.#sparklinePaintedAt = now;
      this.#sparkline.addPrice(price, timestamp, referencePrice(quote), direction);
    }
  }

  #paintChange({ change, percent }, decimals) {
    const text = formatSigned(change, decimals);
    const direction = directionOf(text);
    setText(this.arrow, arrowOf(direction));
    setText(this.value, text);
    setText(this.percent, formatPercent(percent));
    setClass(this.change, `change ${direction}`);
    setClass(this.percent, `percent ${direction}`);
    return direction;
  }

  #paintReference({ base, previousClose, decimals }) {
    setText(this.basePrice, formatNumber(base, decimals));
    if (previousClose === undefined) return;
    setText(this.previousClose, formatNumber(previousClose, decimals));
    setText(this.reference, this.reference.dataset.referenceAfterClose);
  }

  // Colours the price for half a second. A class costs two paints; a fading colour would cost thirty.
  #flash(step, now) {
    if (!step || Number.isNaN(step)) return;
    setClass(this.last, `last flash-${step > 0 ? "up" : "down"}`);
    this.#flashEndsAt = now + FLASH_MS;
    this.#noFlashBefore = now + MIN_FLASH_PAUSE_MS + Math.random() * FLASH_PAUSE_SPREAD_MS;
  }

  // Ends the flash of the row if its time is over. Returns whether the row still flashes.
  endFlash(now) {
    if (this.#flashEndsAt && now >= this.#flashEndsAt) {
      this.#flashEndsAt = 0;
      setClass(this.last, "last");
    }
    return this.#flashEndsAt > 0;
  }

  // Paints the age of the price. `age` is in milliseconds, or undefined or NaN if the age is unknown.
  // A price of a real source is stale only if the source is not connected, because a symbol may be traded rarely.
  paintAge(quote, age, staleAfter) {
    const isStale = quote.source ? quote.isStale : age > staleAfter;
    this.#element.classList.toggle("off", !quote.active);
    this.#element.classList.toggle("stale", isStale);
    const word = STATE_WORDS[quote.symbolState];
    // On a phone, an idle row shows its age instead of its name.
    this.#element.classList.toggle("idle", Boolean(word || (quote.source && age > IDLE_AFTER_MS)));
    if (!quote.active) setText(this.time, "off");
    else if (word && (quote.symbolState === "unknown" || !isStale)) setText(this.time, word);
    else setText(this.time, (isStale ? "stale " : "") + formatAge(age));
  }
}

// Writes a text into an element. Writes into the existing text node, because a new text node costs twice as much.
// `node` is null for a hidden column.
export function setText(node, text) {
  if (!node) return;
  const { firstChild } = node;
  if (!firstChild) node.textContent = text;
  else if (firstChild.data !== text) firstChild.data = text;
}

function setClass(node, text) {
  if (node && node.className !== text) node.className = text;
}
