// One symbol's details beside the list, at an address of their own. The chart is fetched when it is first looked at.

export class Drawer {
  #htmx;
  #element = document.getElementById("drawer");
  #onChange;
  #chart = null;

  // `onChange(address)` is called when the drawer showed something else; `address` is where it is now.
  constructor(htmx, onChange) {
    this.#htmx = htmx;
    this.#onChange = onChange;
    document.getElementById("workspace").addEventListener("click", (event) => this.#press(event));
    this.#element.addEventListener("click", (event) => this.#pressClose(event));
    if (this.symbol) this.#begin();
  }

  // The symbol that is shown; undefined while the drawer is closed.
  get symbol() {
    return this.section?.dataset.symbol;
  }

  get section() {
    return this.#element.querySelector("section[data-symbol]");
  }

  // Shows what an address such as /s/AAPL has; `push` puts it in the history.
  async open(address, push = true) {
    await this.#htmx.ajax("GET", address, { source: this.#element, target: this.#element, swap: "innerHTML" });
    this.#begin();
    if (!this.symbol) return;
    this.#onChange(push ? address : undefined);
    document.getElementById("drawer-title").focus({ preventScroll: true });
  }

  close(push = true) {
    const { symbol } = this;
    if (!symbol) return false;
    const address = document.getElementById("drawer-close").getAttribute("href");
    this.#end();
    this.#element.replaceChildren();
    this.#onChange(push ? address : undefined);
    document.querySelector(`#quotes tr[data-symbol="${CSS.escape(symbol)}"] a.symbol`)?.focus();
    return true;
  }

  // The lists changed: what the drawer says about them is fetched anew, the rest stays.
  async refresh() {
    if (!this.symbol) return;
    const answer = await fetch(location.href, { headers: { "HX-Request": "true" } });
    if (!answer.ok || !this.symbol) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const name of [".listed", "#drawer-close"]) {
      const fresh = page.querySelector(name);
      const old = this.#element.querySelector(name);
      if (fresh && old) old.replaceWith(fresh);
    }
    this.#htmx.process(this.#element);
  }

  // A live price of the symbol that is shown.
  take(update) {
    this.#chart?.take(update);
  }

  #press(event) {
    const link = event.target.closest("#quotes a.symbol");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    this.open(link.getAttribute("href"));
  }

  #pressClose(event) {
    if (!event.target.closest("#drawer-close")) return;
    event.preventDefault();
    this.close();
  }

  async #begin() {
    this.#end();
    for (const table of this.#element.querySelectorAll("details.bars")) table.open = false;
    const place = this.#element.querySelector("[data-bars]");
    if (!place) return;
    const { Chart } = await import("./chart.js");
    if (place.isConnected) this.#chart = new Chart(place, this.section.dataset);
  }

  #end() {
    this.#chart?.remove();
    this.#chart = null;
  }
}
