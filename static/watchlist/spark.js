// A sparkline that the server drew, carried on with live prices. The path is written by the rules of watchlist/page/sparkline.py.

const WIDTH = 104;
const HEIGHT = 26;
const MARGIN = 2;
const MINUTE = 60000;

// `M0 13.5L1.7 12…`
export function writePath(values) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const step = WIDTH / (values.length - 1);
  return `M${values.map((value, place) => `${short(place * step)} ${at(value, low, high)}`).join("L")}`;
}

function at(value, low, high) {
  const share = high > low ? (value - low) / (high - low) : 0.5;
  return short(HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN));
}

function short(number) {
  return String(Math.floor(number * 10 + 0.5) / 10);
}

export class Spark {
  #line;
  #level;
  #values;
  #minute;

  // The values come back out of the path: how far down a point stands, between the lowest and the highest price.
  constructor(svg) {
    const [low, high] = svg.dataset.range.split(" ").map(Number);
    this.#line = svg.lastElementChild;
    this.#level = svg.querySelector(".level");
    this.#values = this.#line.getAttribute("d").slice(1).split("L").map((point) => {
      const share = (HEIGHT - MARGIN - Number(point.split(" ")[1])) / (HEIGHT - 2 * MARGIN);
      return low + share * (high - low);
    });
  }

  // A live price: it moves the last point, or begins the next minute's. `timestamp` in unix microseconds.
  take(price, timestamp, reference, side) {
    const minute = Math.floor(timestamp / 1000 / MINUTE);
    const values = this.#values;
    this.#minute ??= minute;
    if (minute > this.#minute) {
      values.push(price);
      if (values.length > 60) values.shift();
      this.#minute = minute;
    } else values[values.length - 1] = price;
    this.#line.setAttribute("d", writePath(values));
    this.#line.parentNode.setAttribute("class", side);
    if (!this.#level) return;
    const low = Math.min(...values);
    const high = Math.max(...values);
    const within = low < reference && reference < high;
    this.#level.setAttribute("d", within ? `M0 ${at(reference, low, high)}H${WIDTH}` : "");
  }
}
