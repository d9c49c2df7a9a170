// Patches the cells that the server rendered: in animation frames, ten a second at most, four a second per row, and only
// text that changed. Rows are never made, moved or replaced here.

import { NOTHING, arrowOf, sideOf, writeAge, writeNumber, writeSigned } from "./format.js";
import { changeOf, referenceOf } from "./quotes.js";
import { Spark } from "./spark.js";

const PAINT_EVERY = 250;
// Layout and paint cost by the frame more than by the row: what moves within a tenth of a second shares one.
const BEAT = 100;
const FLASH_FOR = 500;
// Rows that are scrolled away are kept, but four times a second is for eyes; and a few in a frame, so that a long list is
// no long task.
const UNSEEN_EVERY = 2000;
const UNSEEN_AT_ONCE = 24;
const SPARK_EVERY = 2000;
// A row that flashed rests for about two seconds, by chance apart from its neighbours: ten updates a second would
// otherwise colour the whole table for good, and the colour would say nothing.
const FLASH_REST = 1500;
const FLASH_SPREAD = 2000;

// What the server wrote into a row, as `Quotes.watch` takes it.
export function readRow(row) {
  const { base, decimals, close, open, high, low, price, timestamp, seq } = row.dataset;
  const number = (text) => (text === undefined ? undefined : Number(text));
  const update = price && { price: Number(price), timestamp: Number(timestamp), seq_id: Number(seq) };
  const day = { close: number(close), open: number(open), high: number(high), low: number(low) };
  return { base: Number(base), decimals: Number(decimals), active: !row.classList.contains("off"), ...day, update };
}

class Row {
  constructor(element, price) {
    this.element = element;
    this.symbol = element.dataset.symbol;
    this.name = element.querySelector(".name");
    this.last = element.querySelector(".last");
    this.change = element.querySelector(".change");
    this.arrow = element.querySelector(".arrow");
    this.value = element.querySelector(".value");
    this.percent = element.querySelector(".percent");
    this.open = element.querySelector(".open");
    this.high = element.querySelector(".high");
    this.low = element.querySelector(".low");
    this.time = element.querySelector(".age time");
    const svg = element.querySelector(".spark svg");
    this.spark = svg && new Spark(svg);
    this.price = price;
    this.seen = true;
    this.paintedAt = -Infinity;
    this.sparkedAt = -Infinity;
    this.restsUntil = 0;
    this.flashesUntil = 0;
  }

  paintPrice(quote, moves, now) {
    this.paintedAt = now;
    if (quote.name !== undefined) setText(this.name, quote.name);
    const moved = changeOf(quote);
    if (!moved) return;
    const { decimals } = quote;
    this.element.classList.remove("bare");
    setText(this.last, writeNumber(quote.price, decimals));
    const change = writeSigned(moved.change, decimals);
    const side = sideOf(change);
    setText(this.arrow, arrowOf(side));
    setText(this.value, change);
    setText(this.percent, writePercent(moved.percent));
    setClass(this.change, `change ${side}`);
    setClass(this.percent, `percent ${side}`);
    if (quote.high !== undefined) {
      setText(this.open, writeNumber(quote.open, decimals));
      setText(this.high, writeNumber(quote.high, decimals));
      setText(this.low, writeNumber(quote.low, decimals));
    }
    this.time.dateTime = new Date(quote.timestamp / 1000).toISOString();
    if (moves && this.seen && now >= this.restsUntil) this.flash(quote.price - this.price, now);
    this.price = quote.price;
    if (this.spark && now - this.sparkedAt > SPARK_EVERY) {
      this.sparkedAt = now;
      this.spark.take(quote.price, quote.timestamp, referenceOf(quote), side);
    }
  }

  flash(step, now) {
    if (!step || Number.isNaN(step)) return;
    setClass(this.last, `last flash-${step > 0 ? "up" : "down"}`);
    this.flashesUntil = now + FLASH_FOR;
    this.restsUntil = now + FLASH_REST + Math.random() * FLASH_SPREAD;
  }

  // Returns whether a flash is still to be taken away. A class for half a second costs two paints, a fading one thirty.
  calm(now) {
    if (this.flashesUntil && now >= this.flashesUntil) {
      this.flashesUntil = 0;
      setClass(this.last, "last");
    }
    return this.flashesUntil > 0;
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
  #rows = new Map(); // by element
  #bySymbol = new Map(); // the drawer may show what is a row too
  #dirty = new Set();
  #quotes;
  #clock;
  #staleAfter;
  #still = matchMedia("(prefers-reduced-motion: reduce)");
  #frame = 0;
  #timer = 0;
  #paintedAt = -Infinity;
  #agedAt = -Infinity;
  #paused = false;
  #held = false;
  #eye = new IntersectionObserver((entries) => this.#look(entries), { rootMargin: "120px" });

  // `staleAfter` in milliseconds.
  constructor(quotes, clock, staleAfter) {
    this.#quotes = quotes;
    this.#clock = clock;
    this.#staleAfter = staleAfter;
  }

  // The elements to keep up to date, each with a `data-symbol` that the quotes watch; known ones stay as they are.
  sync(elements) {
    const kept = new Map();
    for (const element of elements) {
      const price = this.#quotes.get(element.dataset.symbol).price;
      if (!this.#rows.has(element)) this.#eye.observe(element);
      const row = this.#rows.get(element) ?? new Row(element, price);
      kept.set(element, row);
      this.#dirty.add(row);
    }
    for (const element of this.#rows.keys()) if (!kept.has(element)) this.#eye.unobserve(element);
    this.#rows = kept;
    this.#bySymbol.clear();
    for (const row of kept.values()) {
      this.#bySymbol.set(row.symbol, [...(this.#bySymbol.get(row.symbol) ?? []), row]);
    }
    for (const row of this.#dirty) if (!kept.has(row.element)) this.#dirty.delete(row);
    this.refresh();
  }

  #look(entries) {
    for (const { target, isIntersecting } of entries) {
      const row = this.#rows.get(target);
      if (!row) continue;
      row.seen = isIntersecting;
      // Apart from each other by chance, so that those unseen do not all come in one frame.
      row.paintedAt = isIntersecting ? -Infinity : row.paintedAt - Math.random() * UNSEEN_EVERY;
    }
    this.refresh();
  }

  // While paused nothing is painted, prices and ages alike; afterwards all that changed meanwhile is, at once.
  pause(paused) {
    this.#paused = paused;
    if (!paused) for (const row of this.#rows.values()) this.#dirty.add(row);
    this.refresh();
  }

  // Nothing is painted until what was missed is here.
  hold(held) {
    this.#held = held;
    this.refresh();
  }

  // The symbol has something new to show.
  mark(symbol) {
    for (const row of this.#bySymbol.get(symbol) ?? []) this.#dirty.add(row);
    this.refresh();
  }

  // Ages and what waits are painted at the next frame that is due.
  refresh() {
    if (this.#paused || this.#held || this.#frame || this.#timer) return;
    const rest = this.#paintedAt + BEAT - performance.now();
    if (rest > 0) this.#timer = setTimeout(() => this.#ask(), rest);
    else this.#ask();
  }

  #ask() {
    this.#timer = 0;
    this.#frame ||= requestAnimationFrame(() => this.#paint(performance.now()));
  }

  #paint(now) {
    this.#frame = 0;
    if (this.#paused || this.#held) return;
    this.#paintedAt = now;
    let unseen = 0;
    for (const row of this.#dirty) {
      if (now < row.paintedAt + (row.seen ? PAINT_EVERY : UNSEEN_EVERY)) continue;
      if (!row.seen && ++unseen > UNSEEN_AT_ONCE) continue;
      row.paintPrice(this.#quotes.get(row.symbol), !this.#still.matches, now);
      this.#dirty.delete(row);
    }
    let flashing = false;
    const ages = now >= this.#agedAt + PAINT_EVERY;
    if (ages) this.#agedAt = now;
    for (const row of this.#rows.values()) {
      flashing = row.calm(now) || flashing;
      if (ages) this.#paintAge(row, now);
    }
    if (this.#dirty.size || flashing) this.refresh();
  }

  #paintAge(row, now) {
    const quote = this.#quotes.get(row.symbol);
    const { timestamp } = quote;
    const age = timestamp === undefined ? undefined : this.#clock.now(now) - timestamp / 1000;
    row.paintAge(quote, age, this.#staleAfter);
  }
}

function writePercent(percent) {
  const written = writeSigned(percent, 2);
  return written === NOTHING ? NOTHING : `${written}%`;
}

// Into the text that is there: to replace it costs twice as much.
function setText(node, text) {
  const { firstChild } = node;
  if (!firstChild) node.textContent = text;
  else if (firstChild.data !== text) firstChild.data = text;
}

function setClass(node, text) {
  if (node.className !== text) node.className = text;
}
