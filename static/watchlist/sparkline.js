// Adds live prices to the sparklines of watchlist/page/svg/sparkline.py; tests/cases/sparkline.json tests both.

const WIDTH = 104;
const HEIGHT = 26;
const MARGIN = 2;
const MAX_POINTS = 60;
const MINUTE_MICROSECONDS = 60_000_000;

// The `d` attribute of a line through at least two values, oldest first: `M0 13.5L1.7 12…`.
export function sparklinePath(values) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const step = WIDTH / (values.length - 1);
  return `M${values.map((value, index) => `${toTenths(index * step)} ${yOf(value, low, high)}`).join("L")}`;
}

function yOf(value, low, high) {
  const share = high > low ? (value - low) / (high - low) : 0.5;
  return toTenths(HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN));
}

function toTenths(number) {
  return String(Math.floor(number * 10 + 0.5) / 10);
}

export class Sparkline {
  #svg;
  #line;
  #referenceLine;
  #values;
  #minute;

  // `svg` has `data-values`: prices, oldest first, separated by spaces.
  constructor(svg) {
    this.#svg = svg;
    this.#line = svg.lastElementChild;
    this.#referenceLine = svg.firstElementChild;
    this.#values = svg.dataset.values.split(" ").map(Number);
  }

  // Replaces the last point, or adds one if a new minute began. `timestamp` in unix microseconds.
  addPrice(price, timestamp, reference, direction) {
    const minute = Math.floor(timestamp / MINUTE_MICROSECONDS);
    const values = this.#values;
    this.#minute ??= minute;
    if (minute > this.#minute) {
      values.push(price);
      if (values.length > MAX_POINTS) values.shift();
      this.#minute = minute;
    } else values[values.length - 1] = price;
    this.#line.setAttribute("d", sparklinePath(values));
    this.#svg.setAttribute("class", direction);
    const low = Math.min(...values);
    const high = Math.max(...values);
    const isInside = low < reference && reference < high;
    this.#referenceLine.setAttribute("d", isInside ? `M0 ${yOf(reference, low, high)}H${WIDTH}` : "");
  }
}
