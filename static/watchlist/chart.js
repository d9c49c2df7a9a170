// Draws the chart of the drawer with Lightweight Charts and extends it with live prices.

import {
  AreaSeries,
  CandlestickSeries,
  ColorType,
  createChart,
} from "../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import { formatNumber } from "./format.js";

const DAY_SECONDS = 86400;

// Adds a price to the last bar of `bars`, or appends a bar if the price is later. Returns the changed or new bar, or
// undefined if the price is older than the last bar. `step` is the length of a bar in seconds, `seconds` the unix time
// of the price.
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
  #zone;
  #range;
  #kind = "line";
  #bars = [];
  #step = 60; // seconds of a bar
  #chart;
  #series;
  #legend;
  #loads = 0; // counts requests: only the answer to the newest one is drawn
  #darkScheme = matchMedia("(prefers-color-scheme: dark)");
  #abort = new AbortController();

  // `place` is the element that holds the chart. It has `data-bars` (the address of the bars), `data-range` and
  // `data-zone`.
  constructor(place, decimals) {
    this.#place = place;
    this.#decimals = decimals;
    this.#zone = place.dataset.zone;
    this.#range = place.dataset.range;
    this.#legend = document.createElement("output");
    this.#legend.className = "cross";
    this.#legend.setAttribute("aria-live", "off");
    place.replaceChildren(this.#legend);
    this.#build();
    this.#listen();
    this.#load();
  }

  // Adds the price of an update. `timestamp` is in unix microseconds.
  addPrice({ price, timestamp }) {
    const bar = this.#bars.length && addToBars(this.#bars, this.#step, price, timestamp / 1e6);
    if (bar) this.#series.update(this.#toPoint(bar));
  }

  setDecimals(decimals) {
    if (decimals === this.#decimals) return;
    this.#decimals = decimals;
    this.#draw();
  }

  remove() {
    this.#abort.abort();
    this.#chart.remove();
  }

  #listen() {
    const { signal } = this.#abort;
    const drawer = this.#place.closest("section");
    drawer.addEventListener("click", (event) => this.#click(event), { signal });
    this.#darkScheme.addEventListener("change", () => this.#applyColours(), { signal });
  }

  #click(event) {
    const range = event.target.closest("a[data-range]");
    const kind = event.target.closest("button[data-kind]");
    if (range && !event.metaKey && !event.ctrlKey && !event.shiftKey) {
      event.preventDefault();
      this.#range = range.dataset.range;
      for (const link of range.parentNode.children) link.toggleAttribute("aria-current", false);
      range.setAttribute("aria-current", "true");
      this.#load();
    } else if (kind) {
      this.#kind = kind.dataset.kind;
      for (const button of kind.parentNode.children) button.setAttribute("aria-pressed", String(button === kind));
      this.#draw();
    }
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
        tickMarkFormatter: (time, type) => this.#formatTick(time, type),
      },
      localization: {
        timeFormatter: (time) => this.#formatTime(time),
        priceFormatter: (price) => formatNumber(price, this.#decimals),
      },
      grid: { vertLines: { visible: false } },
    });
    this.#chart.subscribeCrosshairMove((event) => this.#showBar(event));
    this.#draw();
  }

  async #load() {
    this.#loads += 1;
    const load = this.#loads;
    this.#legend.textContent = "Loading…";
    try {
      const answer = await fetch(`${this.#place.dataset.bars}?range=${this.#range}`, { signal: this.#abort.signal });
      const { step, bars } = await answer.json();
      if (load !== this.#loads) return;
      this.#step = step;
      this.#bars = bars.map(([time, open, high, low, close]) => ({ time, open, high, low, close }));
      this.#legend.textContent = bars.length ? "" : "No bars are recorded for this range yet.";
    } catch (error) {
      if (error.name === "AbortError" || load !== this.#loads) return;
      this.#bars = [];
      this.#legend.textContent = "The chart could not be loaded. Choose a range to try again.";
    }
    this.#draw();
  }

  #draw() {
    if (this.#series) this.#chart.removeSeries(this.#series);
    const shared = { priceFormat: { type: "price", precision: this.#decimals, minMove: 10 ** -this.#decimals } };
    this.#series = this.#chart.addSeries(this.#kind === "line" ? AreaSeries : CandlestickSeries, shared);
    this.#chart.applyOptions({ timeScale: { secondsVisible: this.#step < 60, timeVisible: this.#step < DAY_SECONDS } });
    this.#series.setData(this.#bars.map((bar) => this.#toPoint(bar)));
    this.#chart.timeScale().fitContent();
    this.#applyColours();
  }

  #toPoint(bar) {
    return this.#kind === "line" ? { time: bar.time, value: bar.close } : bar;
  }

  // Takes the colours of the page's theme and palette.
  #applyColours() {
    const colour = (name) => this.#colour(name);
    const isRising = (this.#bars.at(-1)?.close ?? 0) >= (this.#bars[0]?.open ?? 0);
    const line = colour(isRising ? "--up" : "--down");
    this.#chart.applyOptions({
      layout: { background: { type: ColorType.Solid, color: colour("--card") }, textColor: colour("--muted") },
      grid: { horzLines: { color: colour("--line") } },
      crosshair: {
        vertLine: { color: colour("--strong-line"), labelBackgroundColor: colour("--muted") },
        horzLine: { color: colour("--strong-line"), labelBackgroundColor: colour("--muted") },
      },
    });
    const [up, down] = [colour("--up"), colour("--down")];
    const rising = { upColor: up, borderUpColor: up, wickUpColor: up };
    const falling = { downColor: down, borderDownColor: down, wickDownColor: down };
    this.#series.applyOptions(
      this.#kind === "line"
        ? { lineColor: line, lineWidth: 2, topColor: fade(line, 0.18), bottomColor: fade(line, 0.02) }
        : { ...rising, ...falling },
    );
  }

  // Returns the colour in a custom property of the page as rgb(). The computed style resolves light-dark().
  #colour(name) {
    this.#legend.style.color = `var(${name})`;
    const { color } = getComputedStyle(this.#legend);
    this.#legend.style.color = "";
    return color;
  }

  // Writes the prices of the bar under the crosshair into the legend.
  #showBar({ time, seriesData }) {
    const bar = seriesData?.get(this.#series);
    if (!bar) {
      this.#legend.textContent = "";
      return;
    }
    const format = (price) => formatNumber(price, this.#decimals);
    const prices =
      this.#kind === "line"
        ? format(bar.value)
        : `O ${format(bar.open)}  H ${format(bar.high)}  L ${format(bar.low)}  C ${format(bar.close)}`;
    this.#legend.textContent = `${this.#formatTime(time)}  ${prices}`;
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
