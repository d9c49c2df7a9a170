// Compares the symbol of a chart with others: a line for each, in percent of its first bar. Loaded when it is used.

import { LineSeries, PriceScaleMode } from "../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import { directionOf, formatPercent } from "./format.js";

export const MAX_COMPARED = 4; // with the symbol of the chart
// A line is told by its colour and by its dashes (a LineStyle of the library).
const STYLES = [["--text", 0], ["--accent", 0], ["--warn", 2], ["--muted", 1]];

export class Comparison {
  #chart;
  #parts;
  #symbol;
  #others = new Map(); // from symbol to { bars, line, style }
  #loads = 0; // counts loads: only the newest one is drawn

  // Parts: `list` and `note` are elements; `range()`, `bars()` and `colourOf(name)` tell about the chart; `onChange()` is
  // called after a symbol was added or removed. `chart` is that of the library.
  constructor(chart, symbol, parts) {
    this.#chart = chart;
    this.#symbol = symbol;
    this.#parts = parts;
    parts.list.addEventListener("click", ({ target }) => this.#remove(target.closest("button")?.value));
  }

  get isActive() {
    return this.#others.size > 0;
  }

  // The style of the line of the chart's own symbol.
  get ownLine() {
    const [colour, lineStyle] = STYLES[0];
    return { color: this.#parts.colourOf(colour), lineStyle, lineWidth: 2 };
  }

  async add(text) {
    const symbol = text.trim().toUpperCase();
    if (!symbol) return;
    if (symbol === this.#symbol || this.#others.has(symbol)) this.#tell(`${symbol} is in the chart already.`);
    else if (this.#others.size + 1 >= MAX_COMPARED) this.#tell(`A chart compares up to ${MAX_COMPARED} symbols.`);
    else {
      const bars = await this.#fetchBars(symbol);
      if (!bars) this.#tell(`${symbol.slice(0, 20)} has no chart.`);
      else if (!this.#others.has(symbol) && this.#others.size + 1 < MAX_COMPARED) {
        const used = new Set([...this.#others.values()].map(({ style }) => style));
        const style = STYLES.findIndex((_, index) => index > 0 && !used.has(index));
        this.#others.set(symbol, { bars, style, line: this.#chart.addSeries(LineSeries, { priceLineVisible: false }) });
        this.#tell(`${symbol} was added to the chart.`);
        this.#parts.onChange();
      }
    }
  }

  // After the range changed, or to bring the bars up to date.
  async load() {
    this.#loads += 1;
    const load = this.#loads;
    const symbols = [...this.#others.keys()];
    const loaded = await Promise.all(symbols.map((symbol) => this.#fetchBars(symbol)));
    if (load !== this.#loads) return;
    for (const [index, symbol] of symbols.entries()) {
      if (loaded[index] && this.#others.has(symbol)) this.#others.get(symbol).bars = loaded[index];
    }
    this.draw();
  }

  draw() {
    const mode = this.isActive ? PriceScaleMode.Percentage : PriceScaleMode.Normal;
    this.#chart.priceScale("right").applyOptions({ mode });
    const first = this.#parts.bars()[0]?.time;
    for (const { bars, line, style } of this.#others.values()) {
      const [colour, lineStyle] = STYLES[style];
      line.applyOptions({ color: this.#parts.colourOf(colour), lineStyle, lineWidth: 2 });
      line.setData(bars.filter(({ time }) => !(time < first)));
    }
    this.#describe();
  }

  async #fetchBars(symbol) {
    const answer = await fetch(`/api/bars/${encodeURIComponent(symbol)}?range=${this.#parts.range()}`).catch(() => null);
    if (!answer?.ok) return undefined;
    const { bars } = await answer.json();
    return bars.map(([time, , , , value]) => ({ time, value }));
  }

  #remove(symbol) {
    const other = this.#others.get(symbol);
    if (!other) return;
    this.#chart.removeSeries(other.line);
    this.#others.delete(symbol);
    this.#tell(`${symbol} was removed from the chart.`);
    this.#parts.onChange();
  }

  // The list tells the same as the lines.
  #describe() {
    const own = this.#parts.bars().map(({ close }) => close);
    const items = [...this.#others].map(([symbol, { bars, style }]) => {
      const item = createItem(symbol, bars.map(({ value }) => value), this.#parts.colourOf(STYLES[style][0]));
      const button = create("button", { type: "button", value: symbol, ariaLabel: `Remove ${symbol} from the chart` });
      button.textContent = "×";
      item.append(button);
      return item;
    });
    if (items.length) items.unshift(createItem(this.#symbol, own, this.#parts.colourOf(STYLES[0][0])));
    this.#parts.list.replaceChildren(...items);
  }

  #tell(text) {
    this.#parts.note.textContent = text;
  }
}

function createItem(symbol, values, colour) {
  const item = document.createElement("li");
  const mark = create("i", { ariaHidden: "true" });
  mark.style.background = colour;
  const text = values.length ? formatPercent((values.at(-1) / values[0] - 1) * 100) : "no bars";
  item.append(mark, create("strong", { textContent: symbol }), " ");
  item.append(create("span", { className: directionOf(text), textContent: text }));
  return item;
}

function create(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}
