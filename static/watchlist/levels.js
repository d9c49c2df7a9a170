// Draws the levels of the person's alerts into the chart of the drawer. Loaded with the chart, for signed-in people.
// A level is dragged with the pointer, or moved with the keyboard: arrows, Enter to keep it, Escape to undo.

import { formatNumber, formatPercent } from "./format.js";

const MAX_SHOWN = 8; // the nearest ones; the page of alerts has all
const TAG_HEIGHT = 24;
const BIG_STEP = 0.01; // of the level
const SIGNS = { up: "≥", down: "≤", either: "=", day_percent: "%" };
const NAMES = { up: "at or above", down: "at or below", either: "at", day_percent: "by percent of the day, at" };
const STEPS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 };
const ALREADY = "The condition is true already, so it does not fire now. It is armed when the price has come back.";

function create(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// Moves tags apart that would hide each other. `places`: sorted middles in pixels. All tags stay between 0 and `height`.
export function spreadTags(places, height) {
  const half = TAG_HEIGHT / 2;
  const spread = [];
  for (const place of places) spread.push(Math.max(place, (spread.at(-1) ?? -half) + TAG_HEIGHT));
  let limit = height - half;
  for (let index = spread.length - 1; index >= 0 && spread[index] > limit; index -= 1) {
    spread[index] = limit;
    limit -= TAG_HEIGHT;
  }
  return spread;
}

export class Levels {
  #place;
  #view;
  #symbol;
  #series;
  #alerts = new Map(); // by id: what the server knows, with `shown` (the level on the page) and the elements
  #layer = create("div", { className: "chart-levels" });
  #tools;
  #output = create("output", {});
  #loads = 0; // counts requests: an answer that a newer request has overtaken is old
  #saving = null; // the alert whose new level is being stored
  #abort = new AbortController();
  #painter = { updateAllViews: () => this.#arrange(), paneViews: () => [] };

  // `place`: the element of the chart. `view`: { chart, decimals(), price(), isHidden() }.
  constructor(place, view) {
    this.#place = place;
    this.#view = view;
    const section = place.closest("section");
    this.#symbol = section.dataset.symbol;
    const { signal } = this.#abort;
    this.#tools = this.#createTools();
    place.after(this.#layer, this.#tools);
    place.addEventListener("dblclick", (event) => this.#doubleClick(event), { signal });
    document.addEventListener("alertfired", () => this.load(), { signal });
    addEventListener("resize", () => this.#arrange(), { signal });
    this.load();
  }

  // The chart has a new series when its kind changes.
  attach(series) {
    this.#series = series;
    series.attachPrimitive(this.#painter);
    this.#paint();
  }

  remove() {
    this.#abort.abort();
    this.#layer.remove();
    this.#tools.remove();
  }

  showDistances() {
    for (const alert of this.#alerts.values()) this.#label(alert);
  }

  async load() {
    this.#loads += 1;
    const own = this.#loads;
    const address = `${this.#place.dataset.levels}?symbol=${encodeURIComponent(this.#symbol)}`;
    try {
      const answer = await fetch(address, { headers: ownerHeader(), signal: this.#abort.signal });
      const { alerts } = await answer.json();
      if (answer.ok && own === this.#loads) this.#update(alerts);
    } catch {
      // The next load tries again.
    }
  }

  #createTools() {
    const link = create("button", { type: "button", className: "link", textContent: "New alert at this price" });
    link.addEventListener("click", () => this.#openForm(this.#view.price()));
    const options = create("button", { type: "button", className: "link", textContent: "Sound and notifications" });
    options.addEventListener("click", () => openOptions());
    return create("div", { className: "level-tools" }, link, options, this.#output);
  }

  // On an axis, a double click resets the scale.
  #doubleClick({ clientX, clientY }) {
    const { left, top } = this.#place.getBoundingClientRect();
    const { offsetWidth, offsetHeight } = this.#layer;
    if (clientX - left < offsetWidth && clientY - top < offsetHeight) this.#openForm(this.#priceAt(clientY));
  }

  #openForm(level) {
    if (!(level > 0)) return;
    const query = new URLSearchParams({ symbol: this.#symbol, level: level.toFixed(this.#view.decimals()) });
    location.assign(`/alerts/new/?${query}`);
  }

  // Elements stay, so that they keep the focus. A level that the person is moving stays too.
  #update(fresh) {
    const price = this.#view.price();
    const distance = ({ level }) => Math.abs(level / price - 1);
    if (price) fresh.sort((one, other) => distance(one) - distance(other));
    const shown = new Map(fresh.slice(0, MAX_SHOWN).map((alert) => [alert.id, alert]));
    for (const [id, alert] of this.#alerts) {
      if (shown.has(id) || this.#isChanged(alert)) continue;
      alert.tag.remove();
      alert.line.remove();
      this.#alerts.delete(id);
    }
    for (const [id, alert] of shown) {
      const known = this.#alerts.get(id) ?? this.#createElements({ ...alert, shown: alert.level });
      const isChanged = this.#isChanged(known);
      Object.assign(known, alert);
      if (!isChanged) known.shown = alert.level;
      this.#alerts.set(id, known);
    }
    this.#paint();
  }

  #isChanged(alert) {
    return alert.shown !== alert.level || alert === this.#saving;
  }

  #createElements(alert) {
    alert.line = create("hr", { ariaHidden: "true" });
    alert.text = create("span", {});
    alert.tag = create("div", { className: "tag" }, alert.text);
    this.#layer.append(alert.line, alert.tag);
    if (!alert.movable) {
      alert.tag.classList.add("fixed");
      return alert;
    }
    const { tag } = alert;
    Object.assign(tag, { role: "slider", tabIndex: 0, ariaOrientation: "vertical" });
    tag.addEventListener("keydown", (event) => this.#press(alert, event));
    tag.addEventListener("focus", () => this.#describe(alert));
    tag.addEventListener("blur", () => this.#undo(alert));
    tag.addEventListener("pointerdown", (event) => this.#grab(alert, event));
    tag.addEventListener("pointermove", (event) => this.#drag(alert, event));
    tag.addEventListener("pointerup", () => this.#drop(alert));
    tag.addEventListener("pointercancel", () => this.#undo(alert));
    return alert;
  }

  #press(alert, event) {
    const { key, shiftKey, metaKey, ctrlKey, altKey } = event;
    if (metaKey || ctrlKey || altKey) return;
    if (key in STEPS) {
      const step = shiftKey ? alert.shown * BIG_STEP : 10 ** -this.#view.decimals();
      this.#move(alert, alert.shown + STEPS[key] * step);
    } else if (key === "Enter") this.#keep(alert);
    else if (key === "Escape" && this.#isChanged(alert)) this.#undo(alert);
    else return; // Escape closes the drawer if no level was moved.
    event.preventDefault();
    event.stopPropagation();
  }

  #grab(alert, event) {
    if (event.button !== 0 || this.#saving) return;
    event.preventDefault();
    alert.tag.focus({ preventScroll: true });
    alert.tag.setPointerCapture(event.pointerId);
    // The tag of a level beyond the chart, or beside another tag, is not at its level.
    alert.grip = { y: event.clientY, offset: event.clientY - this.#top - this.#yOf(alert.shown), isMoved: false };
    if (alert.isOff) alert.grip.offset = 0;
  }

  #drag(alert, event) {
    const { grip } = alert;
    if (!grip || (!grip.isMoved && Math.abs(event.clientY - grip.y) < 3)) return;
    grip.isMoved = true;
    this.#move(alert, this.#priceAt(event.clientY - grip.offset));
  }

  #drop(alert) {
    const { grip } = alert;
    alert.grip = null;
    if (grip?.isMoved) this.#keep(alert);
  }

  #move(alert, level) {
    if (this.#saving || !Number.isFinite(level)) return;
    const decimals = this.#view.decimals();
    alert.shown = Number(Math.max(level, 10 ** -decimals).toFixed(decimals));
    this.#say("");
    this.#paint();
  }

  #undo(alert) {
    if (alert === this.#saving) return;
    const wasChanged = this.#isChanged(alert);
    alert.grip = null;
    alert.shown = alert.level;
    this.#paint();
    if (wasChanged) this.#say(`The alert stays at ${this.#write(alert.level)}.`);
  }

  async #keep(alert) {
    if (this.#saving || !this.#isChanged(alert)) return;
    this.#saving = alert;
    let error = "";
    try {
      const { level, is_true: isTrue } = await postLevel(this.#place, alert);
      alert.level = alert.shown = level;
      this.#say(`The alert is at ${this.#write(level)} now.${isTrue ? ` ${ALREADY}` : ""}`);
    } catch (reason) {
      error = reason.message;
      alert.shown = alert.level;
    }
    this.#saving = null;
    if (error) this.#say(`${error} The alert stays at ${this.#write(alert.level)}.`, true);
    this.#paint();
    this.load();
  }

  #say(text, isError = false) {
    this.#output.className = isError ? "error" : "";
    this.#output.textContent = text;
  }

  get #top() {
    return this.#place.getBoundingClientRect().top;
  }

  #yOf(level) {
    return this.#series.priceToCoordinate(level);
  }

  #priceAt(clientY) {
    return this.#series.coordinateToPrice(clientY - this.#top);
  }

  #write(level) {
    return formatNumber(level, this.#view.decimals());
  }

  #paint() {
    this.showDistances();
    for (const alert of this.#alerts.values()) if (alert.movable) this.#describe(alert);
    this.#arrange();
  }

  #distance({ shown }) {
    const price = this.#view.price();
    return price > 0 ? formatPercent((shown / price - 1) * 100) : "";
  }

  #label(alert) {
    const distance = this.#distance(alert);
    const sign = alert.kind === "day_percent" ? `${formatPercent(alert.percent)} =` : SIGNS[alert.kind];
    const text = `${sign} ${this.#write(alert.shown)}${distance && ` · ${distance}`}`;
    if (alert.text.textContent !== text) alert.text.textContent = text;
    alert.tag.classList.toggle("changed", alert.shown !== alert.level);
    alert.tag.classList.toggle("paused", alert.paused);
    alert.tag.title = alert.note;
  }

  // Not at each price: a screen reader says every change of a focused slider.
  #describe(alert) {
    const distance = this.#distance(alert);
    const tick = 10 ** -this.#view.decimals();
    const name = `Alert ${NAMES[alert.kind]}${alert.paused ? ", paused" : ""}${alert.note ? `, ${alert.note}` : ""}`;
    Object.assign(alert.tag, {
      ariaLabel: name,
      ariaValueMin: String(tick),
      ariaValueMax: String(Math.max(alert.level, alert.shown) * 10),
      ariaValueNow: String(alert.shown),
      ariaValueText: `${this.#write(alert.shown)}${distance && `, ${distance} from the price`}`,
    });
  }

  // Called whenever the chart is painted.
  #arrange() {
    if (!this.#series) return;
    const { chart, isHidden } = this.#view;
    const height = this.#place.clientHeight - chart.timeScale().height();
    const { style } = this.#layer;
    this.#layer.hidden = isHidden() || height <= 0;
    style.left = `${this.#place.offsetLeft}px`;
    style.top = `${this.#place.offsetTop}px`;
    style.width = `${this.#place.clientWidth - chart.priceScale("right").width()}px`;
    style.height = `${height}px`;
    if (this.#layer.hidden) return;
    const alerts = [...this.#alerts.values()].map((alert) => [alert, this.#yOf(alert.shown)]);
    const placed = alerts.filter(([, y]) => y !== null).sort(([, one], [, other]) => one - other);
    const places = spreadTags(placed.map(([, y]) => Math.min(Math.max(y, 0), height)), height);
    for (const [index, [alert, y]] of placed.entries()) {
      alert.isOff = y < 0 || y > height;
      alert.line.hidden = alert.isOff;
      alert.line.style.top = `${y}px`;
      alert.tag.style.top = `${places[index] - TAG_HEIGHT / 2}px`;
      alert.tag.classList.toggle("above", y < 0);
      alert.tag.classList.toggle("below", y > height);
    }
  }
}

async function openOptions() {
  const { firedAlerts } = await import("./alerts.js");
  firedAlerts.open();
}

const ownerHeader = () => JSON.parse(document.getElementById("content").getAttribute("hx-headers"));

// Errors have a sentence for the person.
async function postLevel(place, { id, shown }) {
  const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
  const headers = { ...ownerHeader(), "X-CSRFToken": token };
  const body = new URLSearchParams({ alert: id, level: shown });
  let answer;
  try {
    answer = await fetch(`${place.dataset.levels}move/`, { method: "POST", headers, body });
  } catch {
    throw new Error("The server did not answer.");
  }
  const values = await answer.json().catch(() => ({}));
  if (answer.ok && Number.isFinite(values.level)) return values;
  throw new Error(values.error ?? "The server did not move the alert. Reload the page and try again.");
}
