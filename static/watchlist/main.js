// Starts the watchlist page: creates its parts and connects them.

import { ServerClock } from "./clock.js";
import { Combobox } from "./combobox.js";
import { enableDrag } from "./drag.js";
import { Drawer } from "./drawer.js";
import { PriceFeed } from "./feed.js";
import { setNumerals } from "./format.js";
import { enableKeyboard } from "./keyboard.js";
import { Lists, pushAddress } from "./lists.js";
import { Quotes } from "./quotes.js";
import { readRow, rowsOf } from "./row.js";
import { Sorter } from "./sort.js";
import { Status } from "./status.js";
import { Table } from "./table.js";

const STATUS_INTERVAL_MS = 250;
const RESYNC_TIMEOUT_MS = 2000;
const SILENT_SHARE = 0.8; // of `staleAfter`: the status changes before the rows do

const { htmx } = window;
const root = document.documentElement;
const { dataset } = document.getElementById("content");
const staleAfter = Number(dataset.staleAfter);
setNumerals(dataset);

// The server's time in the page counts as the time when the first byte of the page arrived.
const [navigation] = performance.getEntriesByType("navigation");
const clock = new ServerClock(Number(dataset.now) / 1000, navigation?.responseStart ?? performance.now());
const quotes = new Quotes();
const table = new Table(quotes, clock, staleAfter);
const status = new Status(document.getElementById("status"), document.getElementById("announcer"));
const pauseButton = document.getElementById("pause");
let pausedAt; // timestamp of the newest price when the page was paused; undefined while it is not paused
let resyncTimer = 0;

const isListed = (symbol) => rowsOf(document).some((row) => row.dataset.symbol === symbol);
const combobox = new Combobox(document.getElementById("add"), isListed);

const feed = new PriceFeed(status, {
  onUpdate: applyUpdate,
  onTicker: applyTicker,
  onList: (frame) => lists.follow(frame),
  onService: (frame) => lists.setAvailable(frame.lists),
  onTime: (serverTime, localTime) => clock.set(serverTime, localTime),
  onChange: paint,
});

const lists = new Lists(htmx, status, (hasErrors) => {
  if (!hasErrors) combobox.clear();
  sorter.sync();
  sync();
  drawer.refresh();
});

const sorter = new Sorter(quotes, (sort, description) => {
  const query = new URLSearchParams(location.search);
  query.set("sort", sort);
  if (!sort) {
    query.delete("sort");
    lists.show(`/?${query}`);
  }
  pushAddress(`${location.pathname}${query.size ? `?${query}` : ""}`);
  status.announce(description);
});

const drawer = new Drawer(htmx, (address) => {
  if (address) pushAddress(address);
  root.classList.toggle("with-drawer", Boolean(drawer.symbol));
  sync();
});

function paint() {
  const now = performance.now();
  const newest = pausedAt ?? quotes.newestTimestamp;
  const age = newest === undefined ? undefined : clock.now(now) - newest / 1000;
  status.paint(age, staleAfter * SILENT_SHARE, now);
  table.refresh();
}

function applyUpdate(update) {
  if (!quotes.applyUpdate(update)) return;
  table.markChanged(update.symbol);
  if (drawer.symbol === update.symbol && pausedAt === undefined) drawer.addPrice(update);
  document.getElementById("banner")?.remove();
  if (resyncTimer) endResync();
}

function applyTicker(ticker) {
  if (!quotes.applyTicker(ticker)) return;
  table.markChanged(ticker.symbol);
  if (drawer.symbol === ticker.symbol) drawer.setDecimals(ticker.decimals);
}

// Watches and subscribes to the symbols that the page shows.
function sync() {
  const elements = [...rowsOf(document), drawer.section].filter(Boolean);
  const symbols = new Set(elements.map((element) => element.dataset.symbol));
  for (const element of elements) quotes.watch(element.dataset.symbol, readRow(element));
  for (const symbol of quotes.symbols()) if (!symbols.has(symbol)) quotes.unwatch(symbol);
  table.sync(elements);
  for (const row of rowsOf(document)) row.classList.toggle("chosen", row.dataset.symbol === drawer.symbol);
  feed.setSymbols(symbols);
  paint();
}

function togglePause() {
  pausedAt = pausedAt === undefined ? (quotes.newestTimestamp ?? 0) : undefined;
  const isPaused = pausedAt !== undefined;
  pauseButton.setAttribute("aria-pressed", String(isPaused));
  pauseButton.textContent = isPaused ? "Resume" : "Pause";
  root.classList.toggle("paused", isPaused);
  status.isPaused = isPaused;
  table.setPaused(isPaused);
  paint();
}

function openHelp() {
  document.getElementById("help").showModal();
}

// Closes the menu of a row after a click on a button in it. The merge of the answer leaves the menu as it is.
function closeRowMenu({ target }) {
  const menu = target.closest("td.more button")?.closest("details");
  if (!menu) return;
  menu.querySelector("summary").focus();
  menu.open = false;
}

// Called when the page is visible again. The table paints nothing before the first update arrives, so that old prices
// do not look new.
function startResync() {
  table.setHeld(true);
  clearTimeout(resyncTimer);
  resyncTimer = setTimeout(endResync, RESYNC_TIMEOUT_MS);
}

function endResync() {
  clearTimeout(resyncTimer);
  resyncTimer = 0;
  table.setHeld(false);
  paint();
}

enableDrag((symbol, before) => lists.change({ move: symbol, before }));
enableKeyboard({
  add: () => combobox.focus(),
  pause: togglePause,
  help: openHelp,
  remove: (symbol) => lists.change({ remove: symbol }),
  undo: () => document.getElementById("undo-button")?.click() ?? false,
  close: () => drawer.close(),
});
pauseButton.addEventListener("click", togglePause);
document.getElementById("help-open").addEventListener("click", openHelp);
document.getElementById("workspace").addEventListener("click", closeRowMenu);

addEventListener("popstate", () => {
  if (location.pathname.startsWith("/s/")) drawer.open(location.pathname + location.search, false);
  else drawer.close(false);
  lists.show(`/${location.search}`);
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    feed.suspend();
    return;
  }
  startResync();
  feed.resume();
});
addEventListener("pageshow", (event) => {
  if (event.persisted) feed.check();
});
for (const type of ["online", "offline"]) {
  addEventListener(type, () => {
    status.isOffline = type === "offline";
    feed.check();
    paint();
  });
}

root.classList.add("live");
root.classList.toggle("with-drawer", Boolean(drawer.symbol));
sorter.sync();
sync();
setInterval(paint, STATUS_INTERVAL_MS);
