// Shows the alerts that have fired: a list until the person closes it, the title, a sound, a notification of the browser.
// Loaded at the first `alert` frame. What the page remembers in localStorage belongs to one account, and all tabs share it.

import { formatNumber } from "./format.js";

const MAX_SHOWN = 5;
const MAX_REMEMBERED = 500; // ids of firings
const GATHER_MS = 200; // firings that arrive together have one message, sound and notification
const TONES = [
  [880, 0],
  [1320, 0.14],
]; // hertz, seconds after the start
const TONE_SECONDS = 0.22;
const COUNT = /^\(\d+\) /;

const { dataset } = document.getElementById("content");
const owner = JSON.parse(document.getElementById("content").getAttribute("hx-headers"))["Watchlist-Owner"];
const KEY = `alerts ${owner}`;
const memory = new Map(); // if the browser does not store anything
const leads = new Set(); // the signals that this tab sends

function read(name, fallback) {
  try {
    return JSON.parse(localStorage.getItem(`${KEY} ${name}`)) ?? memory.get(name) ?? fallback;
  } catch {
    return memory.get(name) ?? fallback;
  }
}

// Each value has a key of its own, so that two tabs that write at the same time lose nothing.
function remember(name, value) {
  memory.set(name, value);
  try {
    localStorage.setItem(`${KEY} ${name}`, JSON.stringify(value));
  } catch {
    // This tab still knows the value.
  }
}

function rememberIds(name, ids) {
  remember(name, [...new Set([...read(name, []), ...ids])].slice(-MAX_REMEMBERED));
}

// Whether this tab sends a signal, sound or notify. The first tab that asks sends it until the tab is closed.
function lead(signal) {
  if (leads.has(signal) || !navigator.locks) return true;
  return new Promise((resolve) => {
    navigator.locks.request(`${KEY} ${signal}`, { ifAvailable: true }, (lock) => {
      if (lock) leads.add(signal);
      resolve(Boolean(lock));
      return lock && new Promise(() => {});
    });
  });
}

// Returns those of the firings for which this tab sends a signal.
async function takeFirings(signal, firings) {
  if (!(await lead(signal))) return [];
  const known = new Set(read(`${signal} sent`, []));
  const taken = firings.filter(({ id }) => !known.has(id));
  rememberIds(`${signal} sent`, taken.map(({ id }) => id));
  return taken;
}

function readOption(name) {
  return read(name, false) && (name === "sound" || window.Notification?.permission === "granted");
}

let audio;
function playSound() {
  audio ??= new AudioContext();
  audio.resume();
  for (const [hertz, delay] of TONES) {
    const [tone, volume] = [audio.createOscillator(), audio.createGain()];
    const start = audio.currentTime + delay;
    tone.frequency.value = hertz;
    volume.gain.setValueAtTime(0.2, start);
    volume.gain.exponentialRampToValueAtTime(0.001, start + TONE_SECONDS);
    tone.connect(volume).connect(audio.destination);
    tone.start(start);
    tone.stop(start + TONE_SECONDS);
  }
}

function create(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function isFiring({ id, symbol, text, reached, decimals, fired_at: time }) {
  const numbers = [reached, time].every(Number.isFinite) && [id, decimals].every(Number.isSafeInteger);
  return numbers && typeof symbol === "string" && typeof text === "string";
}

const writePrice = ({ reached, decimals }) => formatNumber(reached, Math.min(Math.max(decimals, 0), 12));
const writeSentence = (firing) => `${firing.symbol} ${firing.text}, now ${writePrice(firing)}`;

function writeTime({ fired_at: time }) {
  const parts = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" };
  return new Intl.DateTimeFormat("en-GB", { timeZone: dataset.zone, ...parts }).format(new Date(time / 1000));
}

class FiredAlerts {
  #firings = new Map(); // not seen yet, by id
  #untold = []; // firings of the next message
  #timer = 0;
  #isOpen = false;
  #focusBefore;
  #panel = create("section", { id: "fired-alerts", className: "fired-alerts card", ariaLabel: "Alerts that have fired", hidden: true });
  #list = create("ul", {});
  #sound = create("input", { type: "checkbox" });
  #notify = create("input", { type: "checkbox" });

  constructor() {
    this.#build();
    document.getElementById("announcer").after(this.#panel);
    addEventListener("storage", ({ key }) => key?.startsWith(KEY) && this.#follow());
    new MutationObserver(() => this.#showTitle()).observe(document.querySelector("title"), { childList: true });
  }

  add(firing) {
    if (!isFiring(firing) || this.#firings.has(firing.id) || read("seen", []).includes(firing.id)) return;
    this.#firings.set(firing.id, firing);
    this.#untold.push(firing);
    document.dispatchEvent(new Event("alertfired")); // a fired alert may have no line in the chart any more
    this.#timer ||= setTimeout(() => this.#tell(), GATHER_MS);
  }

  // Also without firings, to change the options.
  open() {
    this.#isOpen = true;
    this.#show();
    this.#panel.querySelector("button").focus();
  }

  #build() {
    const close = create("button", { type: "button", className: "quiet", textContent: "Close" });
    close.addEventListener("click", () => this.#close());
    const link = create("a", { href: "/alerts/history/", className: "link", textContent: "History" });
    const options = [this.#option(this.#sound, "Sound"), this.#option(this.#notify, "Browser notification")];
    options[1].hidden = !("Notification" in window);
    this.#panel.append(
      create("header", {}, create("h2", { textContent: "Alerts" }), link, close),
      this.#list,
      create("p", { className: "options" }, ...options),
    );
    this.#panel.addEventListener("focusin", ({ relatedTarget }) => {
      if (!this.#panel.contains(relatedTarget)) this.#focusBefore = relatedTarget;
    });
    this.#panel.addEventListener("keydown", (event) => {
      event.stopPropagation(); // the keys of the table
      if (event.key === "Escape") this.#close();
    });
    this.#sound.addEventListener("change", () => this.#changeSound());
    this.#notify.addEventListener("change", () => this.#changeNotify());
  }

  #option(input, text) {
    return create("label", {}, input, ` ${text}`);
  }

  #changeSound() {
    remember("sound", this.#sound.checked);
    if (this.#sound.checked) playSound();
  }

  async #changeNotify() {
    const isWanted = this.#notify.checked;
    const permission = isWanted ? await Notification.requestPermission() : "";
    remember("notify", permission === "granted");
    this.#showOptions();
    if (isWanted && permission !== "granted") {
      announce("The browser does not allow notifications from this site.");
    }
  }

  #tell() {
    this.#timer = 0;
    const firings = this.#untold.filter(({ id }) => this.#firings.has(id));
    this.#untold = [];
    if (!firings.length) return;
    this.#show();
    const sentences = firings.map(writeSentence).join(". ");
    announce(firings.length === 1 ? `Alert: ${sentences}` : `${firings.length} alerts: ${sentences}`);
    this.#sendSignals(firings);
  }

  async #sendSignals(firings) {
    // A browser lets no page play sounds that the person has not touched yet.
    const mayPlay = navigator.userActivation?.hasBeenActive ?? true;
    if (mayPlay && (await takeFirings("sound", firings)).length && readOption("sound")) playSound();
    const taken = await takeFirings("notify", firings);
    if (taken.length && readOption("notify")) showNotification(taken);
  }

  #close() {
    const hadFocus = this.#panel.contains(document.activeElement);
    rememberIds("seen", this.#firings.keys());
    this.#firings.clear();
    this.#isOpen = false;
    this.#show();
    if (!hadFocus) return;
    const before = this.#focusBefore?.isConnected ? this.#focusBefore : document.querySelector("#quotes a.symbol");
    before?.focus();
  }

  // Another tab has closed its list, or changed an option.
  #follow() {
    for (const id of read("seen", [])) this.#firings.delete(id);
    this.#show();
  }

  #show() {
    this.#panel.hidden = !this.#isOpen && !this.#firings.size;
    const newest = [...this.#firings.values()].sort((one, other) => other.id - one.id);
    const items = newest.slice(0, MAX_SHOWN).map(makeItem);
    const more = newest.length - items.length;
    if (more || newest.some((firing) => firing.more)) {
      items.push(create("li", { textContent: more ? `${more} more, see the history` : "See the history for more" }));
    }
    if (!items.length) items.push(create("li", { className: "soft", textContent: "Nothing new has fired." }));
    this.#list.replaceChildren(...items);
    this.#showOptions();
    this.#showTitle();
  }

  #showOptions() {
    this.#sound.checked = readOption("sound");
    this.#notify.checked = readOption("notify");
  }

  #showTitle() {
    const count = this.#firings.size;
    const title = (count ? `(${count}) ` : "") + document.title.replace(COUNT, "");
    if (document.title !== title) document.title = title;
  }
}

function makeItem(firing) {
  const link = create("a", { href: `/s/${encodeURIComponent(firing.symbol).replaceAll("%2F", "/")}`, textContent: firing.symbol });
  const price = create("span", { className: "reached", textContent: writePrice(firing) });
  const late = firing.late ? ", by a late update" : "";
  const details = create("small", { textContent: `${writeTime(firing)}${late}${firing.note ? ` · ${firing.note}` : ""}` });
  return create("li", {}, create("strong", {}, link), ` ${firing.text} `, price, details);
}

function showNotification(firings) {
  const [first] = firings;
  const title = firings.length === 1 ? `${first.symbol} ${first.text}` : `${firings.length} alerts`;
  const body = firings.map(writeSentence).join("\n");
  try {
    const notification = new Notification(title, { body, tag: `alert ${first.id}`, silent: true });
    notification.onclick = () => window.focus();
  } catch {
    // Some phones allow notifications only from service workers.
  }
}

// As Status.announce, whose object only the watchlist has.
function announce(text) {
  const element = document.getElementById("announcer").lastElementChild;
  element.textContent = element.textContent === text ? `${text}\u00a0` : text;
}

export const firedAlerts = new FiredAlerts();
export const add = (firing) => firedAlerts.add(firing);
