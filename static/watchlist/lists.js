// Sends changes of lists to the server, follows changes made elsewhere, and shows why a change failed.

import { defineMerge } from "./merge.js";

const TARGET = { target: "#workspace", swap: "merge" };

export function pushAddress(address) {
  if (address !== location.pathname + location.search) history.pushState(null, "", address);
}

export class Lists {
  #htmx;
  #status;
  #onMerge;
  #pendingRequests = 0;
  #deferredVersions = new Map(); // by the id of the list

  // `onMerge(hasErrors)` is called after each merge.
  constructor(htmx, status, onMerge) {
    this.#htmx = htmx;
    this.#status = status;
    this.#onMerge = onMerge;
    defineMerge(htmx, () => this.#announceMerge());
    document.getElementById("content").setAttribute("hx-ext", "merge");
    this.#listen();
  }

  // Fetches what the address shows and merges it.
  show(address) {
    return this.#htmx.ajax("GET", address, { source: "#workspace", ...TARGET });
  }

  // `values`: such as { remove: symbol }.
  change(values) {
    return this.#htmx.ajax("POST", "/list/change/", { source: "#change", ...TARGET, values });
  }

  // Applies a `list` frame: a list has a new version. During a request the answer may bring it, so the frame waits.
  follow({ id, version }) {
    if (this.#pendingRequests) {
      this.#deferredVersions.set(id, version);
      return;
    }
    const tab = document.querySelector(`#tabs a[data-list="${Number(id)}"]`);
    if (tab && Number(tab.dataset.version) === version) return;
    this.show(`/${location.search}`);
  }

  // Shows whether lists can be changed.
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
    // htmx ignores a pressed button outside the form, as those of rows are.
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
    const item = Object.assign(document.createElement("li"), { className: "error", textContent: text });
    if (address) {
      const link = { className: "link", textContent: "Reload the page", href: address };
      item.append(" ", Object.assign(document.createElement("a"), link));
    }
    const messages = Object.assign(document.createElement("ul"), { className: "messages", id: "trouble" });
    messages.append(item);
    document.getElementById("trouble")?.remove();
    document.getElementById("said").prepend(messages);
    this.#status.announce(text);
  }
}
