// Shows the details of one symbol beside the list, at an address such as /s/AAPL.

export class Drawer {
  #htmx;
  #element = document.getElementById("drawer");
  #onChange;
  #chart = null;

  // `onChange(address)` is called after the drawer was opened or closed. `address` is to be added to the browser's
  // history; it is undefined if the history stays as it is.
  constructor(htmx, onChange) {
    this.#htmx = htmx;
    this.#onChange = onChange;
    document.getElementById("workspace").addEventListener("click", (event) => this.#clickSymbol(event));
    this.#element.addEventListener("click", (event) => this.#clickClose(event));
    if (this.symbol) this.#openChart();
  }

  // The symbol that the drawer shows; undefined while the drawer is closed.
  get symbol() {
    return this.section?.dataset.symbol;
  }

  get section() {
    return this.#element.querySelector("section[data-symbol]");
  }

  async open(address, push = true) {
    await this.#htmx.ajax("GET", address, { source: this.#element, target: this.#element, swap: "innerHTML" });
    this.#openChart();
    if (!this.symbol) return;
    this.#onChange(push ? address : undefined);
    document.getElementById("drawer-title").focus({ preventScroll: true });
  }

  close(push = true) {
    const { symbol } = this;
    if (!symbol) return false;
    const address = document.getElementById("drawer-close").getAttribute("href");
    this.#closeChart();
    this.#element.replaceChildren();
    this.#onChange(push ? address : undefined);
    document.querySelector(`#quotes tr[data-symbol="${CSS.escape(symbol)}"] a.symbol`)?.focus();
    return true;
  }

  // Fetches and replaces the parts of the drawer that depend on the person's lists.
  async refresh() {
    if (!this.symbol) return;
    const answer = await fetch(location.href, { headers: { "HX-Request": "true" } });
    if (!answer.ok || !this.symbol) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const selector of [".listed", "#drawer-close"]) {
      const fresh = page.querySelector(selector);
      const old = this.#element.querySelector(selector);
      if (fresh && old) old.replaceWith(fresh);
    }
    this.#htmx.process(this.#element);
  }

  addPrice(update) {
    this.#chart?.addPrice(update);
  }

  setDecimals(decimals) {
    this.#chart?.setDecimals(decimals);
  }

  #clickSymbol(event) {
    const link = event.target.closest("#quotes a.symbol");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    this.open(link.getAttribute("href"));
  }

  #clickClose(event) {
    if (!event.target.closest("#drawer-close")) return;
    event.preventDefault();
    this.close();
  }

  // Draws the chart. The code of the chart and its library is loaded when the first drawer opens.
  async #openChart() {
    this.#closeChart();
    for (const table of this.#element.querySelectorAll("details.bars")) table.open = false;
    const place = this.#element.querySelector("[data-bars]");
    if (!place) return;
    const { Chart } = await import("./chart.js");
    if (place.isConnected) this.#chart = new Chart(place, Number(this.section.dataset.decimals));
  }

  #closeChart() {
    this.#chart?.remove();
    this.#chart = null;
  }
}
