// Wires the page: what the server rendered to the socket that keeps it new, and forms to changes without a reload.

import { Combobox } from "./combobox.js";
import { enableDrag } from "./drag.js";
import { Drawer } from "./drawer.js";
import { useNumerals } from "./format.js";
import { enableKeys } from "./keys.js";
import { defineMerge, rowsOf } from "./merge.js";
import { Poller, askWhy } from "./poll.js";
import { Clock, Quotes } from "./quotes.js";
import { PriceSocket } from "./socket.js";
import { Sorter } from "./sort.js";
import { Status } from "./status.js";
import { Table, readRow } from "./table.js";

const TICK_EVERY = 250;
const FAILURES_TO_ASK = 2;
const FAILURES_TO_POLL = 3;
const RESYNC_WITHIN = 2000;

const { htmx } = window;
const page = document.getElementById("content");
const root = document.documentElement;
const staleAfter = Number(page.dataset.staleAfter);
useNumerals(page.dataset);
const silentAfter = staleAfter * 0.8; // that nothing comes any more is said before the rows turn stale, one by one

// The time in the page was true when its first byte arrived.
const [navigation] = performance.getEntriesByType("navigation");
const clock = new Clock(Number(page.dataset.now) / 1000, navigation?.responseStart ?? performance.now());
const quotes = new Quotes();
const table = new Table(quotes, clock, staleAfter);
const status = new Status(document.getElementById("status"), document.getElementById("announcer"));
const combobox = new Combobox(document.getElementById("add"), (symbol) => findRow(symbol) !== undefined);
const pauseButton = document.getElementById("pause");
let pausedAt; // timestamp of the newest price when the page was paused
let holding = 0;
let asking = 0; // requests of ours that are under way
const heard = new Map(); // versions of lists that were told meanwhile, by the list's number
let polled = false; // whether prices came by polling when the tab was hidden
let told = false; // whether this connection has said how the lists are

function findRow(symbol) {
  return rowsOf(document).find((row) => row.dataset.symbol === symbol);
}

function paint() {
  const now = performance.now();
  const newest = pausedAt ?? quotes.newest;
  status.paint(newest === undefined ? undefined : clock.now(now) - newest / 1000, silentAfter, now);
  table.refresh();
}

// --- Prices ----------------------------------------------------------------------------------------------------------

function take(update) {
  if (!quotes.take(update)) return;
  table.mark(update.symbol);
  if (drawer.symbol === update.symbol && pausedAt === undefined) drawer.take(update);
  document.getElementById("banner")?.remove();
  if (holding) letGo();
}

// What the page shows is what the socket carries.
function sync() {
  const shown = [...rowsOf(document), drawer.section].filter(Boolean);
  const symbols = new Set(shown.map((element) => element.dataset.symbol));
  for (const element of shown) quotes.watch(element.dataset.symbol, readRow(element));
  for (const symbol of quotes.symbols()) if (!symbols.has(symbol)) quotes.forget(symbol);
  table.sync(shown);
  for (const row of rowsOf(document)) row.classList.toggle("chosen", row.dataset.symbol === drawer.symbol);
  socket.want(symbols);
  if (poller.running) poller.start([...symbols]);
  paint();
}

const poller = new Poller({
  onUpdate: take,
  onWork(works) {
    status.setPolling(works);
    paint();
  },
});

const address = new URL("/ws?meta=1&batch=1&heartbeat=15", location.href);
address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
const socket = new PriceSocket(address.href, {
  onState(state) {
    status.set(state);
    if (state.name === "connecting") told = false;
    if (state.name === "live") {
      if (!told) showService(true);
      poller.stop();
      status.setPolling(false);
    } else if (state.name === "waiting") despair();
    paint();
  },
  onUpdate: take,
  onTicker(ticker) {
    if (quotes.retick(ticker)) table.mark(ticker.symbol);
  },
  onList: followList,
  onService({ lists }) {
    told = true;
    showService(lists);
  },
  onTime(server, stopwatch) {
    clock.set(server, stopwatch);
  },
});

// The socket does not come up: asks why, and goes on by plain HTTP while that works.
function despair() {
  if (document.hidden) return; // a try that was under way when the tab was hidden
  if (socket.failures >= FAILURES_TO_POLL) poller.start(quotes.symbols());
  if (socket.failures < FAILURES_TO_ASK) return;
  askWhy().then((reason) => status.setReason(reason)).catch(() => status.setReason(""));
}

// --- Lists -----------------------------------------------------------------------------------------------------------

function merged() {
  const sentences = [...document.querySelectorAll("#said li > span, #said .chip")].map((said) => said.textContent);
  if (sentences.length) status.say(sentences.join(" "));
  if (!document.querySelector("#said .error")) combobox.clear();
  sorter.sync();
  sync();
  drawer.refresh();
}

// Lists can be changed, or cannot for now, and prices go on: said once, visibly and to who listens.
function showService(lists) {
  const notice = document.getElementById("outage");
  if (notice.hidden === lists) return;
  notice.hidden = lists;
  if (lists) document.getElementById("trouble")?.remove();
  status.say(lists ? "Lists can be changed again." : notice.textContent);
}

// What a person asked for did not happen; what was said before stays, an undo among it.
function refuse(sentence, address = "") {
  const trouble = Object.assign(document.createElement("ul"), { className: "messages", id: "trouble" });
  const item = Object.assign(document.createElement("li"), { className: "error", textContent: sentence });
  if (address) {
    const again = Object.assign(document.createElement("a"), { className: "link", textContent: "Load the page again" });
    again.href = address;
    item.append(" ", again);
  }
  trouble.append(item);
  document.getElementById("trouble")?.remove();
  document.getElementById("said").prepend(trouble);
  status.say(sentence);
}

function explain({ detail }) {
  const status = detail.xhr?.status;
  if (!status) refuse("That did not work: the server did not answer. Try again.");
  else if (status === 403) refuse("That was not done: you signed in or out in another tab meanwhile.", "/");
  else if (status !== 503) refuse(`That did not work: the server answered with error ${status}.`, location.href);
  else if (detail.requestConfig.verb === "get") refuse("That cannot be shown right now. Try again in a moment.");
  else refuse("That was not done: lists cannot be changed right now. Nothing is lost; try again in a moment.");
}

function fetchList(path) {
  return htmx.ajax("GET", path, { source: "#workspace", target: "#workspace", swap: "merge" });
}

function change(values) {
  return htmx.ajax("POST", "/list/change/", { source: "#change", target: "#workspace", swap: "merge", values });
}

// A list of this account was changed: here, or in another tab or on another device. Word of a change made here may come
// before its answer, which brings the list itself: what is heard meanwhile is looked at afterwards.
function followList({ id, version }) {
  if (asking) {
    heard.set(id, version);
    return;
  }
  const tab = document.querySelector(`#tabs a[data-list="${Number(id)}"]`);
  if (tab && Number(tab.dataset.version) === version) return;
  fetchList(`/${location.search}`);
}

function push(path) {
  if (path !== location.pathname + location.search) history.pushState(null, "", path);
}

defineMerge(htmx, merged);
page.setAttribute("hx-ext", "merge");

document.body.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (detail.target.id !== "workspace") return;
  const { search } = new URL(detail.xhr.responseURL);
  if (new URLSearchParams(search).has("list")) push((drawer.symbol ? location.pathname : "/") + search);
});
// htmx looks for the pressed button inside the form; ours stand in the rows.
document.body.addEventListener("htmx:configRequest", ({ target, detail }) => {
  // It may be off the page when its answer comes, replaced by another answer, and htmx would not find the way to merge.
  target.setAttribute("hx-ext", "merge");
  const button = detail.triggeringEvent?.submitter;
  if (button?.name) detail.parameters.set(button.name, button.value);
});
document.body.addEventListener("htmx:beforeSend", () => (asking += 1));
document.body.addEventListener("htmx:afterRequest", () => {
  asking -= 1;
  if (asking) return;
  const late = [...heard].map(([id, version]) => ({ id, version }));
  heard.clear();
  for (const list of late) followList(list);
});
for (const kind of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
  document.body.addEventListener(kind, explain);
}

const sorter = new Sorter(quotes, (sort, words) => {
  const query = new URLSearchParams(location.search);
  query.set("sort", sort);
  if (!sort) {
    query.delete("sort");
    fetchList(`/?${query}`);
  }
  push(`${location.pathname}${query.size ? `?${query}` : ""}`);
  status.say(words);
});
const drawer = new Drawer(htmx, (path) => {
  if (path) push(path);
  root.classList.toggle("with-drawer", Boolean(drawer.symbol));
  sync();
});

addEventListener("popstate", () => {
  if (location.pathname.startsWith("/s/")) drawer.open(location.pathname + location.search, false);
  else drawer.close(false);
  fetchList(`/${location.search}`);
});

// --- What a person does ----------------------------------------------------------------------------------------------

function pause() {
  pausedAt = pausedAt === undefined ? (quotes.newest ?? 0) : undefined;
  const paused = pausedAt !== undefined;
  pauseButton.setAttribute("aria-pressed", String(paused));
  pauseButton.textContent = paused ? "Go on" : "Pause";
  root.classList.toggle("paused", paused);
  status.setPaused(paused);
  table.pause(paused);
  paint();
}

function help() {
  document.getElementById("help").showModal();
}

enableDrag((symbol, before) => change({ move: symbol, before }));
enableKeys({
  add: () => combobox.focus(),
  pause,
  help,
  remove: (symbol) => change({ remove: symbol }),
  undo: () => document.getElementById("undo-button")?.click() ?? false,
  close: () => drawer.close(),
});
pauseButton.addEventListener("click", pause);
document.getElementById("help-open").addEventListener("click", help);

// A row's menu closes when something in it was chosen; a merge of the page leaves it as it is.
document.getElementById("workspace").addEventListener("click", ({ target }) => {
  const menu = target.closest("td.more button")?.closest("details");
  if (!menu) return;
  menu.querySelector("summary").focus();
  menu.open = false;
});

// --- Coming and going ------------------------------------------------------------------------------------------------

function letGo() {
  clearTimeout(holding);
  holding = 0;
  table.hold(false);
  paint();
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    polled = poller.running;
    poller.stop();
    socket.sleep();
    return;
  }
  if (polled) poller.start(quotes.symbols());
  // Old prices are not painted for new ones: the first that arrives, or a while without any, lets the page go on.
  table.hold(true);
  clearTimeout(holding);
  holding = setTimeout(letGo, RESYNC_WITHIN);
  socket.wake();
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

root.classList.add("live");
root.classList.toggle("with-drawer", Boolean(drawer.symbol));
sorter.sync();
sync();
setInterval(paint, TICK_EVERY);
