// Wires the page: rows that the server rendered to the socket that keeps them new.

import { Clock, Quotes } from "./quotes.js";
import { PriceSocket } from "./socket.js";
import { Status } from "./status.js";
import { Table, readRow } from "./table.js";

const TICK_EVERY = 250;

const page = document.getElementById("content");
const rows = [...document.querySelectorAll("#quotes tbody tr")];
const staleAfter = Number(page.dataset.staleAfter);

// The time in the page was true when its first byte arrived.
const [navigation] = performance.getEntriesByType("navigation");
const clock = new Clock(Number(page.dataset.now) / 1000, navigation?.responseStart ?? performance.now());
const quotes = new Quotes();
for (const row of rows) quotes.watch(row.dataset.symbol, readRow(row));
const table = new Table(rows, quotes, clock, staleAfter);
const status = new Status(document.getElementById("status"));

function paint() {
  const now = performance.now();
  const age = quotes.newest === undefined ? undefined : clock.now(now) - quotes.newest / 1000;
  status.paint(age, staleAfter, now);
  table.refresh();
}

function take(update) {
  if (!quotes.take(update)) return;
  table.mark(update.symbol);
  document.getElementById("banner")?.remove();
}

const address = new URL("/ws?meta=1", location.href);
address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
const socket = new PriceSocket(address.href, quotes.symbols(), {
  onState(state) {
    status.set(state);
    paint();
  },
  onUpdate: take,
  onTicker(ticker) {
    if (quotes.retick(ticker)) table.mark(ticker.symbol);
  },
  onTime(server, stopwatch) {
    clock.set(server, stopwatch);
  },
});

document.documentElement.classList.add("live");
socket.open();
setInterval(paint, TICK_EVERY);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) socket.check();
});
addEventListener("pageshow", (event) => {
  if (event.persisted) socket.check();
});
for (const kind of ["online", "offline"]) {
  addEventListener(kind, () => {
    status.setOffline(kind === "offline");
    socket.check();
    paint();
  });
}
