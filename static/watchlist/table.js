// Schedules the painting of rows.

import { ageOf } from "./clock.js";
import { referenceName } from "./quotes.js";
import { Row, readRow, rowsOf } from "./row.js";

const ROW_INTERVAL_MS = 250;
// Layout and paint cost by the frame more than by the row.
const FRAME_INTERVAL_MS = 100;
// Rows outside the viewport are painted less often, a few in a frame, so that a long list makes no long task.
const HIDDEN_ROW_INTERVAL_MS = 2000;
const MAX_HIDDEN_ROWS_PER_FRAME = 24;

export class Table {
  #rows = new Map(); // by element
  #bySymbol = new Map(); // several rows each: the drawer counts as one
  #changed = new Set();
  #quotes;
  #clock;
  #staleAfter;
  #reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
  #frame = 0;
  #timer = 0;
  #paintedAt = -Infinity;
  #agesPaintedAt = -Infinity;
  #isHeld = false;
  #viewport = new IntersectionObserver((entries) => this.#updateVisibility(entries), { rootMargin: "120px" });

  // `staleAfter` in milliseconds.
  constructor(quotes, clock, staleAfter) {
    this.#quotes = quotes;
    this.#clock = clock;
    this.#staleAfter = staleAfter;
  }

  // Sets the elements to keep up to date. Returns their symbols, which the quotes watch.
  sync(elements) {
    const symbols = new Set(elements.map((element) => element.dataset.symbol));
    for (const element of elements) this.#quotes.watch(element.dataset.symbol, readRow(element));
    this.#quotes.keep(symbols);
    const kept = new Map();
    for (const element of elements) {
      const price = this.#quotes.get(element.dataset.symbol).price;
      if (!this.#rows.has(element)) this.#viewport.observe(element);
      const row = this.#rows.get(element) ?? new Row(element, price);
      kept.set(element, row);
      if (this.#quotes.isFrozen) row.paint(this.#quotes.shown(row.symbol), false, 0);
      this.#changed.add(row);
    }
    for (const [element, row] of this.#rows) {
      if (kept.has(element)) continue;
      this.#viewport.unobserve(element);
      this.#changed.delete(row);
    }
    this.#rows = kept;
    this.#bySymbol.clear();
    for (const row of kept.values()) {
      this.#bySymbol.set(row.symbol, [...(this.#bySymbol.get(row.symbol) ?? []), row]);
    }
    this.refresh();
    return symbols;
  }

  // A first close is a new reference price.
  applyTicker(ticker) {
    if (!this.#quotes.applyTicker(ticker)) return;
    this.markChanged(ticker.symbol);
    const closes = rowsOf(document).map((row) => this.#quotes.get(row.dataset.symbol).previousClose);
    for (const element of document.querySelectorAll("[data-references]")) {
      element.textContent = referenceName(closes, element.dataset.references.split("|"));
    }
  }

  #updateVisibility(entries) {
    for (const { target, isIntersecting } of entries) {
      const row = this.#rows.get(target);
      if (!row) continue;
      row.isVisible = isIntersecting;
      // At random, so that hidden rows are not due in one frame.
      row.paintedAt = isIntersecting ? -Infinity : row.paintedAt - Math.random() * HIDDEN_ROW_INTERVAL_MS;
    }
    this.refresh();
  }

  // Rows that were not due are painted now: a paused page shows the prices of one moment.
  togglePause(button) {
    const isPaused = !this.#quotes.isFrozen;
    this.#quotes.setFrozen(isPaused, this.#clock.now(performance.now()));
    button.setAttribute("aria-pressed", isPaused);
    button.textContent = isPaused ? "Resume" : "Pause";
    document.documentElement.classList.toggle("paused", isPaused);
    for (const row of this.#rows.values()) {
      if (isPaused) row.paint(this.#quotes.shown(row.symbol), false, 0);
      else this.#changed.add(row);
    }
    this.refresh();
  }

  // Held: nothing is painted until the newest prices are here.
  setHeld(isHeld) {
    this.#isHeld = isHeld;
    this.refresh();
  }

  markChanged(symbol) {
    for (const row of this.#bySymbol.get(symbol) ?? []) this.#changed.add(row);
    this.refresh();
  }

  refresh() {
    if (this.#quotes.isFrozen || this.#isHeld || this.#frame || this.#timer) return;
    const wait = this.#paintedAt + FRAME_INTERVAL_MS - performance.now();
    if (wait > 0) this.#timer = setTimeout(() => this.#requestFrame(), wait);
    else this.#requestFrame();
  }

  #requestFrame() {
    this.#timer = 0;
    this.#frame ||= requestAnimationFrame(() => this.#paint(performance.now()));
  }

  #paint(now) {
    this.#frame = 0;
    if (this.#quotes.isFrozen || this.#isHeld) return;
    this.#paintedAt = now;
    this.#paintChanged(now);
    const agesAreDue = now >= this.#agesPaintedAt + ROW_INTERVAL_MS;
    if (agesAreDue) this.#agesPaintedAt = now;
    let isFlashing = false;
    for (const row of this.#rows.values()) {
      isFlashing = row.endFlash(now) || isFlashing;
      if (agesAreDue) this.#paintAge(row, now);
    }
    if (this.#changed.size || isFlashing) this.refresh();
  }

  #paintChanged(now) {
    let hidden = 0;
    for (const row of this.#changed) {
      if (now < row.paintedAt + (row.isVisible ? ROW_INTERVAL_MS : HIDDEN_ROW_INTERVAL_MS)) continue;
      if (!row.isVisible && ++hidden > MAX_HIDDEN_ROWS_PER_FRAME) continue;
      row.paint(this.#quotes.get(row.symbol), !this.#reducedMotion.matches, now);
      this.#changed.delete(row);
    }
  }

  #paintAge(row, now) {
    const quote = this.#quotes.get(row.symbol);
    row.paintAge(quote, ageOf(quote.timestamp, this.#clock.now(now)), this.#staleAfter);
  }
}
