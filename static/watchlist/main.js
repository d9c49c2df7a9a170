// Starts the watchlist page: creates its parts and connects them.

import { ServerClock } from "./clock.js";
import { Combobox } from "./combobox.js";
import { Drawer } from "./drawer.js";
import { PriceFeed } from "./feed.js";
import { setNumerals } from "./format.js";
import { enableKeyboard } from "./keyboard.js";
import { Lists, pushAddress } from "./lists.js";
import { Quotes } from "./quotes.js";
import { rowsOf } from "./row.js";
import { Sorter } from "./sort.js";
import { Status } from "./status.js";
import { Table } from "./table.js";

const STATUS_INTERVAL_MS = 250;
const RESYNC_TIMEOUT_MS = 2000;

const { htmx } = window;
const root = document.documentElement;
const { dataset } = document.getElementById("content");
const staleAfter = Number(dataset.staleAfter);
setNumerals(dataset);
const [titleEnd] = document.title.match(/ · [^·]* · [^·]*$/);

// The time in the page is that of its first byte.
const [navigation] = performance.getEntriesByType("navigation");
const clock = new ServerClock(Number(dataset.now) / 1000, navigation?.responseStart ?? performance.now());
const quotes = new Quotes();
const table = new Table(quotes, clock, staleAfter);
const status = new Status(document.getElementById("status"), document.getElementById("announcer"));
const pauseButton = document.getElementById("pause");
let resyncTimer = 0;
let columns; // of columns.js

const isListed = (symbol) => rowsOf(document).some((row) => row.dataset.symbol === symbol);
const combobox = new Combobox(document.getElementById("add"), isListed);

const feed = new PriceFeed(status, {
  onUpdate: applyUpdate,
  onTicker: applyTicker,
  onFeed: (frame) => quotes.applyFeed(frame).then(paint),
  onList: (frame) => lists.follow(frame),
  onAlert: async (frame) => (await import("./alerts.js")).add(frame),
  onService: (frame) => lists.setAvailable(frame.lists !== false),
  onTime: (serverTime, localTime) => clock.set(serverTime, localTime),
  onChange: paint,
});

const lists = new Lists(htmx, status, {
  onMerge() {
    sorter.sync();
    sync();
    showCurrentTab();
  },
  onIdle: () => drawer.refresh(),
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

const drawer = new Drawer(quotes, showDrawer, (code) => lists.explainFailure(code));

function showDrawer(address) {
  if (address) pushAddress(address);
  root.classList.toggle("with-drawer", Boolean(drawer.symbol));
  sync();
}

function paint() {
  const now = performance.now();
  status.show(quotes, clock.now(now), staleAfter, now);
  table.refresh();
}

function applyUpdate(update) {
  if (!quotes.applyUpdate(update)) return;
  table.markChanged(update.symbol);
  if (drawer.symbol === update.symbol && !quotes.isFrozen) drawer.addPrice(update);
  document.getElementById("banner")?.remove();
  if (resyncTimer) endResync();
}

function applyTicker(ticker) {
  table.applyTicker(ticker);
  if (drawer.symbol === ticker.symbol) drawer.setDecimals(quotes.get(ticker.symbol).decimals);
}

function sync() {
  const elements = [...rowsOf(document), drawer.section].filter(Boolean);
  const symbols = table.sync(elements);
  for (const row of rowsOf(document)) row.classList.toggle("chosen", row.dataset.symbol === drawer.symbol);
  feed.setSymbols(symbols);
  columns?.sync();
  loadColumns();
  showTitle();
  paint();
}

// Most pages do not show them.
async function loadColumns() {
  const cells = [...document.querySelectorAll("#quotes thead :is(.bid, .ask, .volume, .day-range, .year-range)")];
  if (columns || !(drawer.section || cells.some((cell) => cell.offsetWidth))) return;
  const { MarketColumns } = await import("./columns.js");
  columns ??= new MarketColumns(quotes, "/api/days", () => clock.now(performance.now()));
  columns.sync();
}

function showTitle() {
  const { section } = drawer;
  const list = document.querySelector("#tabs [aria-current]").firstChild.textContent.trim();
  document.title = (section ? `${drawer.symbol} ${section.querySelector(".name").textContent}` : list) + titleEnd;
}

function togglePause() {
  table.togglePause(pauseButton);
  if (!quotes.isFrozen) drawer.reloadChart();
  paint();
}

function openHelp() {
  document.getElementById("help").showModal();
}

// Scrolls the tabs, and nothing else.
function showCurrentTab() {
  const tabs = document.querySelector("#tabs nav");
  const box = tabs.getBoundingClientRect();
  const tab = tabs.querySelector("[aria-current]").getBoundingClientRect();
  tabs.scrollLeft += tab.left - box.left - (box.width - tab.width) / 2;
}

// A merge leaves the menu open.
function closeRowMenu({ target }) {
  const menu = target.closest("td.more button")?.closest("details");
  if (!menu) return;
  menu.querySelector("summary").focus();
  menu.open = false;
}

// Old prices are not painted as if they were new: the table waits for the first update.
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

// Only a mouse over the table needs it.
const loadDrag = async () => {
  const { enableDrag } = await import("./drag.js");
  enableDrag((symbol, before) => lists.change({ move: symbol, before }));
  root.classList.add("draggable");
};
document.getElementById("workspace").addEventListener("pointerover", loadDrag, { once: true });
enableKeyboard({
  add: () => combobox.focus(),
  pause: togglePause,
  help: openHelp,
  remove: (symbol) => lists.change({ remove: symbol }),
  undo: () => lists.undo(),
  close: () => drawer.close(),
});
pauseButton.addEventListener("click", togglePause);
document.getElementById("help-open").addEventListener("click", openHelp);
document.getElementById("workspace").addEventListener("click", closeRowMenu);

document.querySelector("a.skip").addEventListener("click", (event) => {
  const [row] = rowsOf(document);
  row?.querySelector("a.symbol").focus();
  if (row) event.preventDefault();
});
// To return to what is shown now.
document.querySelector(".look form").addEventListener("submit", ({ target }) => {
  target.elements.next.value = location.pathname + location.search;
});

addEventListener("popstate", () => {
  if (location.pathname.startsWith("/s/")) drawer.open(location.pathname + location.search, false);
  else drawer.close(false);
  lists.show(`/${location.search}`);
});
feed.followBrowser(startResync);
root.classList.add("live");
root.classList.toggle("with-drawer", Boolean(drawer.symbol));
sorter.sync();
sync();
showCurrentTab();
addEventListener("resize", loadColumns);
setInterval(paint, STATUS_INTERVAL_MS);
