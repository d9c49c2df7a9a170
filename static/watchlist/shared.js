// Starts the page of a shared list: live prices, and the changes that the owner makes to the list.

import { ServerClock } from "./clock.js";
import { PriceFeed } from "./feed.js";
import { setNumerals } from "./format.js";
import { Quotes } from "./quotes.js";
import { rowsOf } from "./row.js";
import { Status } from "./status.js";
import { Table } from "./table.js";

const STATUS_INTERVAL_MS = 250;
const REFRESH_INTERVAL_MS = 2000;
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
let refreshTimer = 0;
let refreshes = 0; // counts fetches: only the answer to the newest one is shown
let columns; // of columns.js

const handlers = {
  onUpdate: applyUpdate,
  onTicker: (ticker) => table.applyTicker(ticker),
  onFeed: (frame) => quotes.applyFeed(frame).then(paint),
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
  // An empty list has no prices, whose state could be shown.
  statusElement.hidden = pauseButton.hidden = quotes.symbols().length === 0;
  if (!statusElement.hidden) status.show(quotes, clock.now(now), staleAfter, now);
  table.refresh();
}

function applyUpdate(update) {
  if (!quotes.applyUpdate(update)) return;
  table.markChanged(update.symbol);
  document.getElementById("banner")?.remove();
}

function sync() {
  const symbols = table.sync(rowsOf(document));
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
  table.togglePause(pauseButton);
  paint();
}

pauseButton.addEventListener("click", togglePause);
feed.followBrowser(() => feed.check());
root.classList.add("live");
sync();
addEventListener("resize", loadColumns);
setInterval(paint, STATUS_INTERVAL_MS);
// Without a socket, nothing tells that the list changed.
setInterval(() => {
  if (status.fallback && !document.hidden) refresh();
}, REFRESH_INTERVAL_MS);
