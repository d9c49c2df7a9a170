// Starts the page of a shared list: live prices, and the changes that the owner makes to the list.

import { ServerClock } from "./clock.js";
import { PriceFeed } from "./feed.js";
import { setNumerals } from "./format.js";
import { Quotes, referenceName } from "./quotes.js";
import { readRow, rowsOf } from "./row.js";
import { Status } from "./status.js";
import { Table } from "./table.js";

const STATUS_INTERVAL_MS = 250;
const REFRESH_INTERVAL_MS = 2000;
const SILENT_SHARE = 0.8; // of `staleAfter`: the status changes before the rows do
const LINK_REVOKED = 4510;
const SHARED_LIST = 0; // the id of the shared list in `list` frames
const REPLACED_REGIONS = ["heading", "board", "source-badge", "source-note"];

const root = document.documentElement;
const { dataset } = document.getElementById("content");
const staleAfter = Number(dataset.staleAfter);
setNumerals(dataset);

// The time in the page is that of its first byte.
const [navigation] = performance.getEntriesByType("navigation");
const clock = new ServerClock(Number(dataset.now) / 1000, navigation?.responseStart ?? performance.now());
const quotes = new Quotes();
const table = new Table(quotes, clock, staleAfter);
const statusElement = document.getElementById("status");
const status = new Status(statusElement, document.getElementById("announcer"));
const pauseButton = document.getElementById("pause");
let pausedAt; // the time of the newest price when the page was paused, in milliseconds of the server's clock
let refreshTimer = 0;
let refreshes = 0; // counts fetches: only the answer to the newest one is shown
let columns; // of columns.js
let sources; // of sources.js

const handlers = {
  onUpdate: applyUpdate,
  onTicker: applyTicker,
  onFeed: applyFeed,
  onList: ({ id, version }) => {
    if (id === SHARED_LIST && String(version) !== dataset.version) refresh();
  },
  onService: () => {},
  onTime: (serverTime, localTime) => clock.set(serverTime, localTime),
  onChange: paint,
  onRefused: (code) => {
    if (code === LINK_REVOKED) location.reload(); // the server says that the link shows nothing
  },
};
const feed = new PriceFeed(status, handlers, `&shared=${dataset.shared}`);

function paint() {
  const now = performance.now();
  const serverTime = clock.now(now);
  const age = quotes.isFrozen ? serverTime - pausedAt : quotes.age(serverTime);
  status.problem = sources?.problem(serverTime);
  status.isClosed = sources?.areAllClosed ?? false;
  // An empty list has no prices, whose state could be shown.
  statusElement.hidden = pauseButton.hidden = quotes.symbols().length === 0;
  if (!statusElement.hidden) status.paint(age, quotes.hasSimulated ? staleAfter * SILENT_SHARE : Infinity, now);
  table.refresh();
}

function applyUpdate(update) {
  if (!quotes.applyUpdate(update)) return;
  table.markChanged(update.symbol);
  document.getElementById("banner")?.remove();
}

function applyTicker(ticker) {
  if (!quotes.applyTicker(ticker)) return;
  sources?.mark();
  table.markChanged(ticker.symbol);
  const closes = rowsOf(document).map((row) => quotes.get(row.dataset.symbol).previousClose);
  for (const element of document.querySelectorAll("[data-references]")) {
    element.textContent = referenceName(closes, element.dataset.references.split("|"));
  }
}

async function applyFeed(frame) {
  const { Sources } = await import("./sources.js");
  sources ??= new Sources(quotes);
  sources.apply(frame);
  paint();
}

// Watches and subscribes to the symbols that the page shows.
function sync() {
  const rows = rowsOf(document);
  const symbols = new Set(rows.map((row) => row.dataset.symbol));
  for (const row of rows) quotes.watch(row.dataset.symbol, readRow(row));
  for (const symbol of quotes.symbols()) if (!symbols.has(symbol)) quotes.unwatch(symbol);
  sources?.mark();
  table.sync(rows);
  feed.setSymbols(symbols);
  if (!symbols.size) feed.check(); // an empty list is followed too
  columns?.sync();
  loadColumns();
  paint();
}

// Only wide pages show them.
async function loadColumns() {
  if (columns || !document.querySelector("#quotes thead .volume")?.offsetWidth) return;
  const { MarketColumns } = await import("./columns.js");
  columns ??= new MarketColumns(quotes, "/api/days", () => clock.now(performance.now()));
  columns.sync();
}

// Fetches the list after a change. A link that shows nothing any more, or a page for signing in, is loaded as a page.
async function refresh() {
  clearTimeout(refreshTimer);
  refreshes += 1;
  const own = refreshes;
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (answer.status === 404 || answer.redirected) location.reload();
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (own !== refreshes) return; // a newer answer is shown already, or will come
    for (const id of REPLACED_REGIONS) {
      document.getElementById(id).replaceChildren(...page.getElementById(id).childNodes);
    }
    document.title = page.title;
    dataset.version = page.getElementById("content").dataset.version;
    sync();
  } catch {
    if (own === refreshes) refreshTimer = setTimeout(refresh, REFRESH_INTERVAL_MS);
  }
}

function togglePause() {
  const isPaused = !quotes.isFrozen;
  const serverTime = clock.now(performance.now());
  pausedAt = serverTime - quotes.age(serverTime);
  quotes.setFrozen(isPaused);
  pauseButton.setAttribute("aria-pressed", String(isPaused));
  pauseButton.textContent = isPaused ? "Resume" : "Pause";
  root.classList.toggle("paused", isPaused);
  status.isPaused = isPaused;
  table.setPaused(isPaused);
  paint();
}

pauseButton.addEventListener("click", togglePause);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    feed.suspend();
    return;
  }
  feed.resume();
  feed.check();
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
sync();
addEventListener("resize", loadColumns);
setInterval(paint, STATUS_INTERVAL_MS);
// Without a socket, nothing tells that the list changed.
setInterval(() => {
  if (status.fallback && !document.hidden) refresh();
}, REFRESH_INTERVAL_MS);
