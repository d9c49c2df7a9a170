// Draws the chart of the drawer with Lightweight Charts: prices, volumes, and lines of other symbols. Live prices extend it.

import {
  AreaSeries,
  CandlestickSeries,
  ColorType,
  createChart,
  HistogramSeries,
  LineSeries,
} from "../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import { formatVolume } from "./columns.js";
import { formatNumber } from "./format.js";
import { rowsOf } from "./row.js";

const REFRESH_INTERVAL_MS = 30_000; // only the server knows volumes: the socket skips updates
const DAY_SECONDS = 86400;
const MEMORY = "chart"; // the range and the kind that were chosen last

// The browser may refuse to store anything.
function readMemory() {
  try {
    return { ...JSON.parse(localStorage.getItem(MEMORY)) };
  } catch {
    return {};
  }
}

function remember(values) {
  try {
    localStorage.setItem(MEMORY, JSON.stringify({ ...readMemory(), ...values }));
  } catch {
    // The next chart starts with the defaults.
  }
}

// Adds a price to the last bar of `bars`, or appends a bar if the price is later. Returns that bar, or undefined if the
// price is older than the last bar. `step` and `seconds` (the unix time of the price) are in seconds.
export function addToBars(bars, step, price, seconds) {
  const time = Math.floor(seconds / step) * step;
  const last = bars.at(-1);
  if (last && time < last.time) return undefined;
  if (last?.time === time) {
    last.high = Math.max(last.high, price);
    last.low = Math.min(last.low, price);
    last.close = price;
    return last;
  }
  const next = { time, open: last?.close ?? price, high: price, low: price, close: price };
  next.high = Math.max(next.high, next.open);
  next.low = Math.min(next.low, next.open);
  bars.push(next);
  return next;
}

export class Chart {
  #place;
  #decimals;
  #quote;
  #isPaused;
  #zone;
  #range;
  #kind = "line";
  #bars = [];
  #step = 60; // seconds of a bar
  #chart;
  #series;
  #volumes;
  #comparison; // of compare.js
  #levels; // of levels.js
  #legend;
  #refreshTimer;
  #loads = 0; // counts requests: only the newest one is drawn
  #darkScheme = matchMedia("(prefers-color-scheme: dark)");
  #abort = new AbortController();

  // `place` has `data-bars` (an address), `data-range` and `data-zone`. `quote()` returns what the page shows.
  constructor(place, decimals, quote, isPaused) {
    this.#place = place;
    this.#decimals = decimals;
    this.#quote = quote;
    this.#isPaused = isPaused;
    this.#zone = place.dataset.zone;
    this.#range = place.dataset.range;
    this.#legend = document.createElement("output");
    this.#legend.className = "cross";
    this.#legend.setAttribute("aria-live", "off");
    place.replaceChildren(this.#legend);
    const { range, kind } = readMemory();
    if (!new URLSearchParams(location.search).has("range")) this.#choose("range", range);
    this.#choose("kind", kind);
    this.#build();
    this.#listen();
    this.load();
    this.#loadLevels();
    this.#refreshTimer = setInterval(() => this.#refresh(), REFRESH_INTERVAL_MS);
  }

  // `timestamp` is in unix microseconds.
  addPrice({ price, timestamp }) {
    const bar = this.#bars.length && addToBars(this.#bars, this.#step, price, timestamp / 1e6);
    if (!bar) return;
    this.#series.update(this.#toPoint(bar));
    this.#levels?.showDistances();
    if (this.#place.dataset.direction !== this.#direction) this.#applyColours();
  }

  setDecimals(decimals) {
    if (decimals === this.#decimals) return;
    this.#decimals = decimals;
    this.#draw();
  }

  remove() {
    this.#abort.abort();
    this.#levels?.remove();
    clearInterval(this.#refreshTimer);
    this.#chart.remove();
  }

  #listen() {
    const { signal } = this.#abort;
    const drawer = this.#place.closest("section");
    drawer.addEventListener("click", (event) => this.#click(event), { signal });
    const form = drawer.querySelector("form.compare");
    form.addEventListener("focusin", () => this.#offerSymbols(form), { signal });
    form.addEventListener("submit", (event) => this.#compare(event), { signal });
    this.#darkScheme.addEventListener("change", () => this.#applyColours(), { signal });
  }

  #click(event) {
    const range = event.target.closest("a[data-range]");
    const kind = event.target.closest("button[data-kind]");
    if (range && !event.metaKey && !event.ctrlKey && !event.shiftKey) {
      event.preventDefault();
      remember(range.dataset);
      this.#choose("range", range.dataset.range);
      this.load();
    } else if (kind) {
      remember(kind.dataset);
      this.#choose("kind", kind.dataset.kind);
      this.#draw();
    }
  }

  // `what` is range or kind. An unknown value changes nothing.
  #choose(what, value) {
    const choices = [...this.#place.closest("section").querySelectorAll(`.ranges [data-${what}]`)];
    const chosen = choices.find((choice) => choice.dataset[what] === value);
    if (!chosen) return;
    if (what === "range") this.#range = value;
    else this.#kind = value;
    for (const choice of choices) {
      if (what === "kind") choice.setAttribute("aria-pressed", String(choice === chosen));
      else choice.toggleAttribute("aria-current", false);
    }
    if (what === "range") chosen.setAttribute("aria-current", "true");
  }

  #build() {
    this.#chart = createChart(this.#place, {
      autoSize: true,
      layout: { attributionLogo: false, fontSize: 11, fontFamily: "system-ui, sans-serif" },
      handleScale: { mouseWheel: false },
      rightPriceScale: { borderVisible: false },
      timeScale: {
        borderVisible: false,
        timeVisible: true,
        fixLeftEdge: true, // the first and the last label are moved inside
        fixRightEdge: true,
        tickMarkFormatter: (time, type) => this.#formatTick(time, type),
      },
      localization: {
        timeFormatter: (time) => this.#formatTime(time),
        priceFormatter: (price) => formatNumber(price, this.#decimals),
      },
      grid: { vertLines: { visible: false } },
    });
    const format = { priceFormat: { type: "custom", formatter: formatVolume, minMove: 1e-8 } };
    const hidden = { priceScaleId: "volume", lastValueVisible: false, priceLineVisible: false };
    this.#volumes = this.#chart.addSeries(HistogramSeries, { ...format, ...hidden });
    this.#chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
    this.#chart.subscribeCrosshairMove((event) => this.#showBar(event));
    this.#draw();
  }

  // Only people who are signed in have alerts.
  async #loadLevels() {
    if (!this.#place.dataset.levels) return;
    const { Levels } = await import("./levels.js");
    if (this.#abort.signal.aborted) return;
    this.#levels = new Levels(this.#place, {
      chart: this.#chart,
      decimals: () => this.#decimals,
      price: () => this.#quote()?.price ?? this.#bars.at(-1)?.close,
      isHidden: () => this.#isComparing || !this.#bars.length,
    });
    this.#levels.attach(this.#series);
  }

  async load() {
    this.#loads += 1;
    const load = this.#loads;
    this.#legend.textContent = "Loading…";
    try {
      if (!(await this.#fetchBars(load))) return;
      this.#legend.textContent = this.#bars.length ? "" : "No bars are recorded for this range yet.";
    } catch (error) {
      if (error.name === "AbortError" || load !== this.#loads) return;
      this.#bars = [];
      this.#legend.textContent = "The chart could not be loaded. Choose a range to try again.";
    }
    this.#draw();
    if (this.#comparison?.isActive) this.#comparison.load();
  }

  // Returns false if another load began meanwhile.
  async #fetchBars(load) {
    const answer = await fetch(`${this.#place.dataset.bars}?range=${this.#range}`, { signal: this.#abort.signal });
    const { step, bars } = await answer.json();
    if (load !== this.#loads) return false;
    this.#step = step;
    this.#bars = bars.map(([time, open, high, low, close, volume]) => ({ time, open, high, low, close, volume }));
    this.#addShownPrice();
    return true;
  }

  // Keeps the part of the time that is shown.
  async #refresh() {
    if (document.hidden || this.#isPaused() || !this.#bars.length) return;
    try {
      if (!(await this.#fetchBars(this.#loads))) return;
    } catch {
      return; // the next refresh tries again
    }
    this.#setData();
    this.#levels?.load();
    if (this.#comparison?.isActive) this.#comparison.load();
  }

  // Row, drawer and chart show the same price. A paused page shows no bars that began later.
  #addShownPrice() {
    const { price, timestamp } = this.#quote() ?? {};
    if (price === undefined || !this.#bars.length) return;
    if (this.#isPaused()) this.#bars = this.#bars.filter(({ time }) => time <= timestamp / 1e6);
    addToBars(this.#bars, this.#step, price, timestamp / 1e6);
  }

  // Of the line, from its first point to its last one.
  get #direction() {
    return (this.#bars.at(-1)?.close ?? 0) >= (this.#bars[0]?.close ?? 0) ? "up" : "down";
  }

  #draw() {
    if (this.#series) this.#chart.removeSeries(this.#series);
    const shared = { priceFormat: { type: "price", precision: this.#decimals, minMove: 10 ** -this.#decimals } };
    this.#series = this.#chart.addSeries(this.#seriesType, shared);
    this.#chart.applyOptions({ timeScale: { secondsVisible: this.#step < 60, timeVisible: this.#step < DAY_SECONDS } });
    this.#setData();
    this.#chart.timeScale().fitContent();
    this.#levels?.attach(this.#series);
    this.#applyColours();
  }

  #setData() {
    const hasVolumes = !this.#isComparing && this.#bars.some(({ volume }) => volume > 0);
    this.#series.setData(this.#bars.map((bar) => this.#toPoint(bar)));
    this.#volumes.setData(hasVolumes ? this.#bars.map(({ time, volume }) => ({ time, value: volume ?? 0 })) : []);
    this.#chart.priceScale("right").applyOptions({ scaleMargins: { top: 0.1, bottom: hasVolumes ? 0.2 : 0.08 } });
  }

  get #isComparing() {
    return Boolean(this.#comparison?.isActive);
  }

  // Candles and areas of several symbols would hide each other.
  get #isLine() {
    return this.#kind === "line" || this.#isComparing;
  }

  get #seriesType() {
    if (this.#isComparing) return LineSeries;
    return this.#kind === "line" ? AreaSeries : CandlestickSeries;
  }

  #toPoint(bar) {
    return this.#isLine ? { time: bar.time, value: bar.close } : bar;
  }

  // The symbols of the table are offered; any other can be typed.
  #offerSymbols(form) {
    const own = this.#place.closest("section").dataset.symbol;
    const symbols = rowsOf(document).map((row) => row.dataset.symbol).filter((symbol) => symbol !== own);
    const options = symbols.map((value) => Object.assign(document.createElement("option"), { value }));
    form.querySelector("datalist").replaceChildren(...options);
  }

  async #compare(event) {
    event.preventDefault();
    const form = event.target;
    const input = form.querySelector("input");
    const text = input.value;
    input.value = "";
    const { Comparison } = await import("./compare.js");
    if (this.#abort.signal.aborted) return;
    const section = form.closest("section");
    this.#comparison ??= new Comparison(this.#chart, section.dataset.symbol, {
      list: section.querySelector("ul.compared"),
      note: form.querySelector("output"),
      range: () => this.#range,
      bars: () => this.#bars,
      colourOf: (name) => this.#colour(name),
      onChange: () => this.#draw(),
    });
    await this.#comparison.add(text);
  }

  // Takes the colours of the page's theme and palette.
  #applyColours() {
    const colour = (name) => this.#colour(name);
    this.#place.dataset.direction = this.#direction;
    const line = colour(`--${this.#direction}`);
    this.#chart.applyOptions({
      layout: { background: { type: ColorType.Solid, color: colour("--card") }, textColor: colour("--muted") },
      grid: { horzLines: { color: colour("--line") } },
      crosshair: {
        vertLine: { color: colour("--strong-line"), labelBackgroundColor: colour("--muted") },
        horzLine: { color: colour("--strong-line"), labelBackgroundColor: colour("--muted") },
      },
    });
    this.#volumes.applyOptions({ color: fade(colour("--muted"), 0.4) });
    this.#comparison?.draw();
    if (this.#isComparing) {
      this.#series.applyOptions(this.#comparison.ownLine);
      return;
    }
    const [up, down] = [colour("--up"), colour("--down")];
    const rising = { upColor: up, borderUpColor: up, wickUpColor: up };
    const falling = { downColor: down, borderDownColor: down, wickDownColor: down };
    this.#series.applyOptions(
      this.#kind === "line"
        ? { lineColor: line, lineWidth: 2, topColor: fade(line, 0.18), bottomColor: fade(line, 0.02) }
        : { ...rising, ...falling },
    );
  }

  // A custom property as rgb(): the computed style resolves light-dark().
  #colour(name) {
    this.#legend.style.color = `var(${name})`;
    const { color } = getComputedStyle(this.#legend);
    this.#legend.style.color = "";
    return color;
  }

  // Shows the bar below the crosshair.
  #showBar({ time, seriesData }) {
    const bar = seriesData?.get(this.#series);
    if (!bar) {
      this.#legend.textContent = "";
      return;
    }
    const format = (price) => formatNumber(price, this.#decimals);
    const volume = this.#bars.find((each) => each.time === time)?.volume;
    const prices =
      bar.value !== undefined
        ? format(bar.value)
        : `O ${format(bar.open)}  H ${format(bar.high)}  L ${format(bar.low)}  C ${format(bar.close)}`;
    this.#legend.textContent = `${this.#formatTime(time)}  ${prices}${volume > 0 ? `  V ${formatVolume(volume)}` : ""}`;
  }

  #formatDate(time, options) {
    const zone = this.#step >= DAY_SECONDS ? "UTC" : this.#zone;
    return new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options }).format(new Date(time * 1000));
  }

  #formatTime(time) {
    const date = { day: "2-digit", month: "short", year: "numeric" };
    if (this.#step >= DAY_SECONDS) return this.#formatDate(time, date);
    const clock = { hour: "2-digit", minute: "2-digit", timeZoneName: "short" };
    if (this.#step < 60) return this.#formatDate(time, { ...clock, second: "2-digit" });
    return this.#formatDate(time, { day: "2-digit", month: "short", ...clock });
  }

  // Tick types of the library: 0 year, 1 month, 2 day, 3 time, 4 time with seconds.
  #formatTick(time, type) {
    if (type === 0) return this.#formatDate(time, { year: "numeric" });
    if (type === 1) return this.#formatDate(time, { month: "short" });
    if (type === 2) return this.#formatDate(time, { day: "numeric", month: "short" });
    const clock = { hour: "2-digit", minute: "2-digit" };
    return this.#formatDate(time, type === 4 ? { ...clock, second: "2-digit" } : clock);
  }
}

function fade(colour, opacity) {
  return colour.replace(/^rgb\((.*)\)$/, `rgba($1, ${opacity})`);
}
