// Patches the cells of one row, or the fields of the drawer. Only text that changed is written.

import { arrowOf, directionOf, formatAge, formatNumber, formatPercent, formatSigned } from "./format.js";
import { changeOf, referencePrice } from "./quotes.js";
import { Sparkline } from "./sparkline.js";

// Of a symbol that its source does not trade now; the server has the same words.
const STATE_WORDS = { unknown: "Unknown", halted: "Halted", closed: "Closed" };
const CELLS = ["name", "last", "change", "arrow", "value", "percent", "open", "high", "low"];
const VOLUME_UNIT = 1e-8;
const SPARKLINE_INTERVAL_MS = 2000;
const FLASH_MS = 500;
const IDLE_AFTER_MS = 60_000;
// After a flash, a row pauses at random: ten updates a second would colour the whole table all the time.
const MIN_FLASH_PAUSE_MS = 1500;
const FLASH_PAUSE_SPREAD_MS = 2000;

// Without those whose removal waits for its answer.
export function rowsOf(root) {
  return [...root.querySelectorAll("#quotes tbody tr:not([hidden])")];
}

// What the server wrote into a row, as Quotes.watch takes it.
export function readRow(row) {
  const { base, decimals, close, open, high, low, price, timestamp, seq, bid, ask, volume } = row.dataset;
  const toNumber = (text) => (text === undefined ? undefined : Number(text));
  const pair = { bid: toNumber(bid), ask: toNumber(ask) };
  const update = price && { price: Number(price), timestamp: Number(timestamp), seq_id: Number(seq), ...pair };
  const day = { previousClose: toNumber(close), open: toNumber(open), high: toNumber(high), low: toNumber(low) };
  if (volume) day.volume = volume * VOLUME_UNIT;
  // Until the first `feed` frame, a price of a real source is as old as the server says.
  const state = { source: row.dataset.source, symbolState: row.dataset.state, isStale: row.classList.contains("stale") };
  const active = !row.classList.contains("off");
  return { base: Number(base), decimals: Number(decimals), active, ...state, ...day, update };
}

let paintMore;

// `paint(element, quote)` paints the cells of columns.js with each row.
export function setPainter(paint) {
  paintMore = paint;
}

export class Row {
  #element;
  #price; // the last one painted
  #sparkline;
  #sparklinePaintedAt = -Infinity;
  #noFlashBefore = 0;
  #flashEndsAt = 0;

  // `price`: the one that the element shows, if any.
  constructor(element, price) {
    this.#element = element;
    this.symbol = element.dataset.symbol;
    this.isVisible = true;
    this.paintedAt = -Infinity;
    for (const name of CELLS) this[name] = element.querySelector(`.${name}`);
    this.time = element.querySelector(".age time");
    // In the drawer only.
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

  // A class for half a second costs two paints, a fading colour thirty.
  #flash(step, now) {
    if (!step || Number.isNaN(step)) return;
    setClass(this.last, `last flash-${step > 0 ? "up" : "down"}`);
    this.#flashEndsAt = now + FLASH_MS;
    this.#noFlashBefore = now + MIN_FLASH_PAUSE_MS + Math.random() * FLASH_PAUSE_SPREAD_MS;
  }

  // Ends a flash that is over; returns whether one is still shown.
  endFlash(now) {
    if (this.#flashEndsAt && now >= this.#flashEndsAt) {
      this.#flashEndsAt = 0;
      setClass(this.last, "last");
    }
    return this.#flashEndsAt > 0;
  }

  // `age` in milliseconds, undefined or NaN if it is unknown.
  // A symbol of a real source is often traded rarely: its price is stale only if the source is not connected.
  paintAge(quote, age, staleAfter) {
    const isStale = quote.source ? quote.isStale : age > staleAfter;
    this.#element.classList.toggle("off", !quote.active);
    this.#element.classList.toggle("stale", isStale);
    const word = STATE_WORDS[quote.symbolState];
    // On a phone, such a row shows its age instead of its name.
    this.#element.classList.toggle("idle", Boolean(word || (quote.source && age > IDLE_AFTER_MS)));
    if (!quote.active) setText(this.time, "off");
    else if (word && (quote.symbolState === "unknown" || !isStale)) setText(this.time, word);
    else setText(this.time, (isStale ? "stale " : "") + formatAge(age));
  }
}

// Writes into the text node that is there: replacing it costs twice as much.
// A hidden column has no node.
export function setText(node, text) {
  if (!node) return;
  const { firstChild } = node;
  if (!firstChild) node.textContent = text;
  else if (firstChild.data !== text) firstChild.data = text;
}

function setClass(node, text) {
  if (node && node.className !== text) node.className = text;
}
