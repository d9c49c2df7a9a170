// The chart of the drawer: fetched when a drawer first opens, drawn by Lightweight Charts, carried on by live prices.

import {
  AreaSeries,
  CandlestickSeries,
  ColorType,
  createChart,
} from "../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import { writeNumber } from "./format.js";

const DAY = 86400;

// The last bar after a price; a new one where the price belongs to the next stretch. `bars` is changed.
export function extend(bars, step, price, seconds) {
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
  #step = 60;
  #chart;
  #series;
  #cross;
  #asked = 0;
  #dark = matchMedia("(prefers-color-scheme: dark)");
  #stop = new AbortController();

  // `place` has data-bars, data-range and data-zone; `facts` are the drawer's, with the ticker's decimals.
  constructor(place, facts) {
    this.#place = place;
    this.#decimals = Number(facts.decimals);
    this.#zone = place.dataset.zone;
    this.#range = place.dataset.range;
    this.#cross = document.createElement("output");
    this.#cross.className = "cross";
    this.#cross.setAttribute("aria-live", "off");
    place.replaceChildren(this.#cross);
    this.#build();
    this.#listen();
    this.#load();
  }

  take({ price, timestamp }) {
    const bar = this.#bars.length && extend(this.#bars, this.#step, price, timestamp / 1e6);
    if (bar) this.#series.update(this.#shape(bar));
  }

  remove() {
    this.#stop.abort();
    this.#chart.remove();
  }

  #listen() {
    const { signal } = this.#stop;
    const drawer = this.#place.closest("section");
    drawer.addEventListener("click", (event) => this.#press(event), { signal });
    this.#dark.addEventListener("change", () => this.#paint(), { signal });
  }

  #press(event) {
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
        tickMarkFormatter: (time, kind) => this.#label(time, kind),
      },
      localization: {
        timeFormatter: (time) => this.#moment(time),
        priceFormatter: (price) => writeNumber(price, this.#decimals),
      },
      grid: { vertLines: { visible: false } },
    });
    this.#chart.subscribeCrosshairMove((event) => this.#point(event));
    this.#draw();
    this.#paint();
  }

  async #load() {
    this.#asked += 1;
    const asked = this.#asked;
    this.#cross.textContent = "Loading…";
    try {
      const answer = await fetch(`${this.#place.dataset.bars}?range=${this.#range}`, { signal: this.#stop.signal });
      const { step, bars } = await answer.json();
      if (asked !== this.#asked) return;
      this.#step = step;
      this.#bars = bars.map(([time, open, high, low, close]) => ({ time, open, high, low, close }));
      this.#cross.textContent = bars.length ? "" : "Nothing is recorded yet for this range.";
    } catch (error) {
      if (error.name === "AbortError" || asked !== this.#asked) return;
      this.#bars = [];
      this.#cross.textContent = "The chart could not be loaded. Choose a range to try again.";
    }
    this.#draw();
  }

  #draw() {
    if (this.#series) this.#chart.removeSeries(this.#series);
    const shared = { priceFormat: { type: "price", precision: this.#decimals, minMove: 10 ** -this.#decimals } };
    this.#series = this.#chart.addSeries(this.#kind === "line" ? AreaSeries : CandlestickSeries, shared);
    this.#chart.applyOptions({ timeScale: { secondsVisible: this.#step < 60, timeVisible: this.#step < DAY } });
    this.#series.setData(this.#bars.map((bar) => this.#shape(bar)));
    this.#chart.timeScale().fitContent();
    this.#paint();
  }

  #shape(bar) {
    return this.#kind === "line" ? { time: bar.time, value: bar.close } : bar;
  }

  // The colours are the page's, whatever theme and palette it has.
  #paint() {
    const ink = (name) => this.#ink(name);
    const rises = (this.#bars.at(-1)?.close ?? 0) >= (this.#bars[0]?.open ?? 0);
    const line = ink(rises ? "--up" : "--down");
    this.#chart.applyOptions({
      layout: { background: { type: ColorType.Solid, color: ink("--card") }, textColor: ink("--soft") },
      grid: { horzLines: { color: ink("--line") } },
      crosshair: {
        vertLine: { color: ink("--edge"), labelBackgroundColor: ink("--soft") },
        horzLine: { color: ink("--edge"), labelBackgroundColor: ink("--soft") },
      },
    });
    const [up, down] = [ink("--up"), ink("--down")];
    this.#series.applyOptions(
      this.#kind === "line"
        ? { lineColor: line, lineWidth: 2, topColor: fade(line, 0.18), bottomColor: fade(line, 0.02) }
        : { upColor: up, borderUpColor: up, wickUpColor: up, downColor: down, borderDownColor: down, wickDownColor: down },
    );
  }

  // A custom colour as rgb(), with light-dark() resolved.
  #ink(name) {
    this.#cross.style.color = `var(${name})`;
    const { color } = getComputedStyle(this.#cross);
    this.#cross.style.color = "";
    return color;
  }

  #point({ time, seriesData }) {
    const bar = seriesData?.get(this.#series);
    if (!bar) {
      this.#cross.textContent = "";
      return;
    }
    const write = (price) => writeNumber(price, this.#decimals);
    const figures =
      this.#kind === "line"
        ? write(bar.value)
        : `O ${write(bar.open)}  H ${write(bar.high)}  L ${write(bar.low)}  C ${write(bar.close)}`;
    this.#cross.textContent = `${this.#moment(time)}  ${figures}`;
  }

  #format(time, options) {
    const zone = this.#step >= DAY ? "UTC" : this.#zone;
    return new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options }).format(new Date(time * 1000));
  }

  #moment(time) {
    const date = { day: "2-digit", month: "short", year: "numeric" };
    if (this.#step >= DAY) return this.#format(time, date);
    const clock = { hour: "2-digit", minute: "2-digit", timeZoneName: "short" };
    if (this.#step < 60) return this.#format(time, { ...clock, second: "2-digit" });
    return this.#format(time, { day: "2-digit", month: "short", ...clock });
  }

  // Kinds of the library: 0 year, 1 month, 2 day, 3 time, 4 time with seconds.
  #label(time, kind) {
    if (kind === 0) return this.#format(time, { year: "numeric" });
    if (kind === 1) return this.#format(time, { month: "short" });
    if (kind === 2) return this.#format(time, { day: "numeric", month: "short" });
    const clock = { hour: "2-digit", minute: "2-digit" };
    return this.#format(time, kind === 4 ? { ...clock, second: "2-digit" } : clock);
  }
}

function fade(colour, share) {
  return colour.replace(/^rgb\((.*)\)$/, `rgba($1, ${share})`);
}
