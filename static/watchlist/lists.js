// Sends changes of lists to the server, merges the answers into the page, and follows changes made elsewhere.

import { rowsOf } from "./row.js";

const TARGET = { target: "#workspace", swap: "merge" };
const REPLACED_REGIONS = ["heading", "tabs", "said", "add-state", "pick-state", "change-state"];

export function pushAddress(address) {
  if (address !== location.pathname + location.search) history.pushState(null, "", address);
}

export class Lists {
  #htmx;
  #status;
  #onMerge;
  #pendingRequests = 0;
  #deferredVersions = new Map(); // from the id of a list to its version, of `list` frames during a request

  // `onMerge(hasErrors)` is called after each merge.
  constructor(htmx, status, onMerge) {
    this.#htmx = htmx;
    this.#status = status;
    this.#onMerge = onMerge;
    defineMerge(htmx, () => this.#announceMerge());
    document.getElementById("content").setAttribute("hx-ext", "merge");
    this.#listen();
  }

  show(address) {
    return this.#htmx.ajax("GET", address, { source: "#workspace", ...TARGET });
  }

  // Changes the shown list. `values` are form fields, such as { remove: symbol }.
  change(values) {
    return this.#htmx.ajax("POST", "/list/change/", { source: "#change", ...TARGET, values });
  }

  // Applies a `list` frame, which says that a list has a new version. During a request the frame waits: the answer to
  // the request may contain this version.
  follow({ id, version }) {
    if (this.#pendingRequests) {
      this.#deferredVersions.set(id, version);
      return;
    }
    const tab = document.querySelector(`#tabs a[data-list="${Number(id)}"]`);
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

  #listen() {
    const { body } = document;
    body.addEventListener("htmx:afterSwap", ({ detail }) => this.#pushShownList(detail));
    body.addEventListener("htmx:configRequest", (event) => this.#configure(event));
    body.addEventListener("htmx:beforeSend", () => (this.#pendingRequests += 1));
    body.addEventListener("htmx:afterRequest", () => this.#endRequest());
    for (const type of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
      body.addEventListener(type, ({ detail }) => this.#explainFailure(detail));
    }
  }

  #announceMerge() {
    const messages = [...document.querySelectorAll("#said li > span, #said .chip")].map((item) => item.textContent);
    if (messages.length) this.#status.announce(messages.join(" "));
    this.#onMerge(document.querySelector("#said .error") !== null);
  }

  #pushShownList({ target, xhr }) {
    if (target.id !== "workspace") return;
    const { search } = new URL(xhr.responseURL);
    const drawerIsOpen = document.querySelector("#drawer section") !== null;
    if (new URLSearchParams(search).has("list")) pushAddress((drawerIsOpen ? location.pathname : "/") + search);
  }

  #configure({ target, detail }) {
    // If another answer removes this element first, htmx finds no parent with hx-ext.
    target.setAttribute("hx-ext", "merge");
    // htmx ignores a pressed button outside the form. The buttons of rows are outside.
    const button = detail.triggeringEvent?.submitter;
    if (button?.name) detail.parameters.set(button.name, button.value);
  }

  #endRequest() {
    this.#pendingRequests -= 1;
    if (this.#pendingRequests) return;
    const deferred = [...this.#deferredVersions];
    this.#deferredVersions.clear();
    for (const [id, version] of deferred) this.follow({ id, version });
  }

  #explainFailure({ xhr, requestConfig }) {
    const code = xhr?.status;
    if (!code) this.#showError("The server did not answer. Try again.");
    else if (code === 403) this.#showError("Not changed: you signed in or out in another tab.", "/");
    else if (code !== 503) this.#showError(`The server answered with error ${code}.`, location.href);
    else if (requestConfig.verb === "get") this.#showError("This cannot be shown right now. Try again in a moment.");
    else this.#showError("Not changed: lists cannot be changed right now. Try again in a moment.");
  }

  // Keeps earlier messages, which may offer an undo. With an address, adds a link that reloads the page.
  #showError(text, address = "") {
    const item = create("li", { className: "error", textContent: text });
    if (address) item.append(" ", create("a", { className: "link", textContent: "Reload the page", href: address }));
    const messages = create("ul", { className: "messages", id: "trouble" });
    messages.append(item);
    document.getElementById("trouble")?.remove();
    document.getElementById("said").prepend(messages);
    this.#status.announce(text);
  }
}

function create(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}

// Defines `hx-swap="merge"` for htmx: an answer replaces parts of the page, and rows of the same symbol stay the same
// elements. `onMerge` is called after each merge.
function defineMerge(htmx, onMerge) {
  htmx.defineExtension("merge", {
    isInlineSwap: () => false,
    handleSwap(style, target, fragment) {
      if (style !== "merge") return false;
      const focus = captureFocus();
      for (const id of REPLACED_REGIONS) replaceRegion(id, fragment);
      keepRows(fragment);
      const board = document.getElementById("board");
      board.replaceChildren(...fragment.querySelector("#board").childNodes);
      restoreFocus(focus);
      const replaced = [document.getElementById("tabs"), document.getElementById("said"), board];
      // Process the new elements at once: a form that is sent before htmx has processed it reloads the page.
      for (const element of replaced) htmx.process(element);
      onMerge();
      return replaced;
    },
  });
}

function replaceRegion(id, fragment) {
  const old = document.getElementById(id);
  const fresh = fragment.querySelector(`#${id}`);
  if (old && fresh && old.innerHTML !== fresh.innerHTML) old.replaceChildren(...fresh.childNodes);
}

function keepRows(fragment) {
  const rows = new Map(rowsOf(document).map((row) => [row.dataset.symbol, row]));
  for (const fresh of rowsOf(fragment)) {
    const row = rows.get(fresh.dataset.symbol);
    if (!row) continue;
    row.querySelector("a.symbol").href = fresh.querySelector("a.symbol").getAttribute("href");
    replaceMenu(row.querySelector("td.more"), fresh.querySelector("td.more"));
    fresh.replaceWith(row);
  }
}

// An open menu stays open. A menu that is equal stays the same element.
function replaceMenu(old, fresh) {
  fresh.querySelector("details").toggleAttribute("open", old.querySelector("details").open);
  if (old.innerHTML !== fresh.innerHTML) old.replaceWith(fresh);
}

// Returns what has the focus before a merge. If the merge removes that element, `restoreFocus` focuses the new element
// with the same id, or the row at the same place.
function captureFocus() {
  const element = document.activeElement;
  const row = element?.closest("#quotes tbody tr");
  return { element, id: element?.id, rowIndex: row ? rowsOf(document).indexOf(row) : -1 };
}

function restoreFocus({ element, id, rowIndex }) {
  if (document.activeElement !== document.body) return;
  const rows = rowsOf(document);
  const row = rows[Math.min(rowIndex, rows.length - 1)];
  if (element?.isConnected && element !== document.body) element.focus();
  else if (rowIndex >= 0 && row) row.querySelector("a.symbol").focus();
  else if (id) document.getElementById(id)?.focus();
}
