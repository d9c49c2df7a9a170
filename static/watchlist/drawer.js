// Shows the details of one symbol beside the list, at an address such as /s/AAPL.

const TIMEOUT_MS = 10_000;

// Scripts sort without the server, so an address that it wrote may lack the sort.
function withSort(address) {
  const url = new URL(address, location.href);
  const sort = new URLSearchParams(location.search).get("sort");
  if (sort) url.searchParams.set("sort", sort);
  else url.searchParams.delete("sort");
  return url.pathname + url.search;
}

// Errors have the status of the answer as their cause.
async function loadPart(address, signal) {
  const answer = await fetch(address, { headers: { "HX-Request": "true" }, signal });
  if (!answer.ok) throw new Error("refused", { cause: answer.status });
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

export class Drawer {
  #quotes;
  #element = document.getElementById("drawer");
  #onChange;
  #onFailure;
  #chart = null;
  #opening = new AbortController();

  // `onChange(address)` is called after it was opened or closed, with an address to push, if any; `onFailure(code)` if
  // it cannot be opened.
  constructor(quotes, onChange, onFailure) {
    this.#quotes = quotes;
    this.#onChange = onChange;
    this.#onFailure = onFailure;
    document.getElementById("workspace").addEventListener("click", (event) => this.#clickSymbol(event));
    this.#element.addEventListener("click", (event) => this.#clickClose(event));
    if (this.symbol) this.#openChart();
  }

  // Undefined while the drawer is closed.
  get symbol() {
    return this.section?.dataset.symbol;
  }

  get section() {
    return this.#element.querySelector("section[data-symbol]");
  }

  async open(address, push = true) {
    this.#opening.abort(); // of several symbols, the last one is shown
    const { signal } = (this.#opening = new AbortController());
    let part;
    try {
      part = await loadPart(address, AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]));
    } catch (error) {
      if (!signal.aborted) this.#onFailure(error.cause);
      return;
    }
    this.#element.replaceChildren(...part.body.childNodes);
    this.#openChart();
    this.#onChange(push ? address : undefined);
    document.getElementById("drawer-title").focus({ preventScroll: true });
  }

  close(push = true) {
    this.#opening.abort();
    const { symbol } = this;
    if (!symbol) return false;
    const address = withSort(document.getElementById("drawer-close").getAttribute("href"));
    this.#closeChart();
    this.#element.replaceChildren();
    this.#onChange(push ? address : undefined);
    document.querySelector(`#quotes tr[data-symbol="${CSS.escape(symbol)}"] a.symbol`)?.focus();
    return true;
  }

  // Fetches the parts that depend on the lists.
  async refresh() {
    if (!this.symbol) return;
    const page = await loadPart(location.href).catch(() => null);
    for (const selector of [".noted", ".listed", "#drawer-close"]) {
      const fresh = page?.querySelector(selector);
      const old = this.#element.querySelector(selector);
      if (!fresh || !old) continue;
      // A note that is being typed stays.
      const [field, next] = [old, fresh].map((part) => part.querySelector("#note"));
      if (!next || field?.dataset.list !== next.dataset.list) old.replaceWith(fresh);
      else {
        field.form.list.value = next.form.list.value; // a list gets its key when it is stored
        field.defaultValue = next.value;
        if (field.value === next.value) field.form.reset();
      }
    }
  }

  addPrice(update) {
    this.#chart?.addPrice(update);
  }

  // After the page was paused or resumed.
  reloadChart() {
    this.#chart?.load();
  }

  setDecimals(decimals) {
    this.#chart?.setDecimals(decimals);
  }

  #clickSymbol(event) {
    const link = event.target.closest("#quotes a.symbol");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    this.open(withSort(link.getAttribute("href")));
  }

  #clickClose(event) {
    if (!event.target.closest("#drawer-close")) return;
    event.preventDefault();
    this.close();
  }

  async #openChart() {
    this.#closeChart();
    for (const table of this.#element.querySelectorAll("details.bars")) table.open = false;
    const place = this.#element.querySelector("[data-bars]");
    if (!place) return;
    const { Chart } = await import("./chart.js");
    if (!place.isConnected) return;
    const { symbol, decimals } = this.section.dataset;
    this.#chart = new Chart(place, Number(decimals), () => this.#quotes.shown(symbol), () => this.#quotes.isFrozen);
  }

  #closeChart() {
    this.#chart?.remove();
    this.#chart = null;
  }
}
