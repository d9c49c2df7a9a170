// Sends changes of lists to the server, one after another, and follows changes made elsewhere.

import { defineMerge } from "./merge.js";
import { rowsOf } from "./row.js";

const TARGET = { source: "#workspace", target: "#workspace", swap: "merge ignoreTitle:true" };

export function pushAddress(address) {
  if (address !== location.pathname + location.search) history.pushState(null, "", address);
}

export class Lists {
  #htmx;
  #status;
  #handlers;
  #queue = []; // requests in the order of the presses; the first one runs
  #isBurst = false; // the running request waited for another one
  #isMerged = false; // the answer of the running request has no error
  #deferredVersions = new Map(); // by the id of the list

  // Handlers: onMerge() after each merge, onIdle() after the last of several requests.
  constructor(htmx, status, handlers) {
    this.#htmx = htmx;
    this.#status = status;
    this.#handlers = handlers;
    defineMerge(htmx, () => this.#isBurst, (hasErrors, texts) => this.#endMerge(hasErrors, texts));
    document.getElementById("content").setAttribute("hx-ext", "merge");
    this.#listen();
  }

  show(address) {
    this.#enqueue({ verb: "GET", address });
  }

  // `values`: such as { remove: symbol }.
  change(values) {
    this.#send(document.getElementById("change"), values);
  }

  // Undoes the newest removal that can be undone, which may still wait for its answer. Returns false if there is none.
  undo() {
    const form = () => document.querySelector("#said li:not([hidden]) form");
    if (this.#queue.some(({ values }) => values?.remove)) this.#enqueue({ form });
    else if (form()) this.#send(form());
    else return false;
  }

  // Applies a `list` frame: a list has a new version. During a request the answer may bring it, so the frame waits.
  follow({ id, version }) {
    if (!Number.isInteger(id) || !Number.isInteger(version)) return;
    if (this.#queue.length) {
      this.#deferredVersions.set(id, version);
      return;
    }
    const tab = document.querySelector(`#tabs a[data-list="${id}"]`);
    if (tab && Number(tab.dataset.version) === version) return;
    this.show(`/${location.search}`);
  }

  setAvailable(isAvailable) {
    const notice = document.getElementById("outage");
    if (notice.hidden === isAvailable) return;
    notice.hidden = isAvailable;
    if (isAvailable) document.getElementById("trouble")?.remove();
    this.#status.announce(isAvailable ? "Lists can be changed again." : notice.textContent);
  }

  // Before htmx, which drops all but the last press.
  #listen() {
    document.addEventListener("submit", (event) => this.#submit(event), true);
    document.addEventListener("click", (event) => this.#clickTab(event), true);
    document.body.addEventListener("htmx:beforeSwap", ({ detail }) => this.#pushShownList(detail));
    for (const type of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
      document.body.addEventListener(type, ({ detail }) => {
        const { xhr, requestConfig } = detail;
        this.explainFailure(xhr?.status, requestConfig.verb !== "get", requestConfig.parameters.symbol);
      });
    }
  }

  #submit(event) {
    if (!event.target.matches("form[hx-post]")) return;
    event.preventDefault();
    event.stopPropagation();
    const { submitter } = event;
    this.#send(event.target, submitter?.name ? { [submitter.name]: submitter.value } : {});
  }

  #clickTab(event) {
    const link = event.target.closest("a[hx-get]");
    if (!link) return;
    event.stopPropagation();
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    this.#enqueue({ verb: "GET", address: link.getAttribute("href"), list: link.dataset.list });
  }

  #send(form, values = {}) {
    const request = { ...readForm(form), form: () => form };
    Object.assign(request.values, values);
    if (form.id === "add") {
      request.field = form.elements.symbol;
      request.field.value = "";
      // What is typed goes to the list that was chosen last.
      const tab = this.#queue.findLast(({ list }) => list);
      if (tab) request.values.list = tab.list;
    }
    // Shown again if this fails.
    request.item = form.closest("#said li");
    if (request.item) request.item.hidden = true;
    this.#enqueue(request);
    this.#hideRemoved();
  }

  #enqueue(request) {
    this.#queue.push(request);
    if (this.#queue.length === 1) this.#run();
  }

  async #run() {
    for (this.#isBurst = false; this.#queue.length; this.#isBurst = true) {
      const [request] = this.#queue;
      // The form of an undo that was pressed too early exists now.
      const { verb, address, values } = request.verb ? request : readForm(request.form());
      this.#isMerged = false;
      if (verb) await this.#htmx.ajax(verb, address, { ...TARGET, values }).catch(() => {});
      if (!this.#isMerged) this.#giveBack(request);
      this.#queue.shift();
      this.#hideRemoved();
    }
    this.#handlers.onIdle();
    const deferred = [...this.#deferredVersions];
    this.#deferredVersions.clear();
    for (const [id, version] of deferred) this.follow({ id, version });
  }

  // Refused text returns to the field, unless more was typed.
  #giveBack({ field, item, values }) {
    if (field && !field.value) field.value = values.symbol;
    if (item) item.hidden = false;
  }

  // Rows whose removal was pressed disappear at once, so that the next press removes the next row.
  #hideRemoved() {
    const listOf = ({ list }) => list || document.querySelector("#tabs a[data-list]").dataset.list;
    const shown = listOf(readForm(document.getElementById("change")).values);
    const removals = this.#queue.filter(({ values }) => values?.remove && listOf(values) === shown);
    const removed = new Set(removals.map(({ values }) => values.remove));
    const rows = rowsOf(document);
    const focused = rows.findIndex((row) => row.contains(document.activeElement));
    for (const row of document.querySelectorAll("#quotes tbody tr")) row.hidden = removed.has(row.dataset.symbol);
    if (rows[focused]?.hidden) {
      const next = rows.slice(focused).find((row) => !row.hidden) ?? rowsOf(document).at(-1);
      next?.querySelector("a.symbol").focus();
    }
    if (rows.length !== rowsOf(document).length) this.#handlers.onMerge();
  }

  #endMerge(hasErrors, texts) {
    this.#isMerged = !hasErrors;
    if (texts.length) this.#status.announce(texts.join(" "));
    this.#handlers.onMerge();
  }

  // Before the merge, which changes the title of the newest entry of the history.
  #pushShownList({ target, xhr, shouldSwap }) {
    if (target.id !== "workspace" || !shouldSwap) return;
    const { search } = new URL(xhr.responseURL);
    const drawerIsOpen = document.querySelector("#drawer section") !== null;
    if (new URLSearchParams(search).has("list")) pushAddress((drawerIsOpen ? location.pathname : "/") + search);
  }

  // `code`: the status of the answer, if there was one. `symbol`: what was to be added.
  explainFailure(code, isChange = false, symbol = "") {
    const what = symbol && `${symbol.slice(0, 20)}: `;
    if (!code) this.#showError(`${what}The server did not answer. Try again.`);
    else if (code === 403) this.#showError("Not changed: you signed in or out in another tab.", "/");
    else if (code !== 503) this.#showError(`${what}The server answered with error ${code}.`, location.href);
    else if (!isChange) this.#showError("This cannot be shown right now. Try again in a moment.");
    else this.#showError(`${what}Not changed: lists cannot be changed right now. Try again in a moment.`);
  }

  // Keeps earlier messages. With an address, adds a link that reloads the page.
  #showError(text, address = "") {
    const item = create("li", { className: "error", textContent: text });
    if (address) item.append(" ", create("a", { className: "link", textContent: "Reload the page", href: address }));
    const messages = document.getElementById("trouble") ?? create("ul", { className: "messages", id: "trouble" });
    if (!this.#isBurst) messages.replaceChildren();
    messages.append(item);
    document.getElementById("said").prepend(messages);
    this.#status.announce(text);
  }
}

// The request that a form makes: { verb, address, values }. Undefined values without a form.
function readForm(form) {
  if (!form) return {};
  const values = Object.fromEntries(new FormData(form));
  // Scripts sort without the server.
  if ("sort" in values) values.sort = new URLSearchParams(location.search).get("sort") ?? "";
  return { verb: "POST", address: form.getAttribute("action"), values };
}

function create(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}
