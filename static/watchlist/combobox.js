// Offers matching tickers below the field that adds symbols.

const SEARCH_DELAY_MS = 120;
const MAX_SEARCH_LENGTH = 40;

export class Combobox {
  #form;
  #input;
  #list;
  #isListed;
  #timer = 0;
  #searchedText = null; // of the shown matches
  #activeIndex = -1;

  constructor(form, isListed) {
    this.#form = form;
    this.#input = form.querySelector("input[data-search]");
    this.#list = form.querySelector("[role=listbox]");
    this.#isListed = isListed;
    this.#input.removeAttribute("list");
    this.#input.role = "combobox";
    this.#input.ariaAutoComplete = "list";
    this.#input.ariaExpanded = "false";
    this.#input.setAttribute("aria-controls", this.#list.id);
    this.#input.addEventListener("input", () => this.#searchLater());
    this.#input.addEventListener("keydown", (event) => this.#pressKey(event));
    this.#input.addEventListener("paste", (event) => this.#paste(event));
    this.#input.addEventListener("blur", () => this.close());
    this.#list.addEventListener("pointerdown", (event) => this.#press(event));
  }

  focus() {
    this.#input.focus();
    this.#input.select();
  }

  close() {
    clearTimeout(this.#timer);
    this.#list.hidden = true;
    this.#list.replaceChildren();
    this.#searchedText = null;
    this.#activate(-1);
    this.#input.ariaExpanded = "false";
  }

  #searchLater() {
    clearTimeout(this.#timer);
    const text = this.#input.value.trim();
    if (!text || text.length > MAX_SEARCH_LENGTH || /[,;]/.test(text)) this.close();
    else this.#timer = setTimeout(() => this.#search(text), SEARCH_DELAY_MS);
  }

  async #search(text) {
    let matches;
    try {
      const answer = await fetch(`${this.#input.dataset.search}?q=${encodeURIComponent(text)}`);
      matches = await answer.json();
    } catch {
      return; // the text can be added without matches
    }
    if (this.#input.value.trim() !== text || document.activeElement !== this.#input) return;
    if (!matches.length) {
      this.close();
      return;
    }
    this.#list.replaceChildren(...matches.map((match, index) => this.#createOption(match, index)));
    this.#list.hidden = false;
    this.#input.ariaExpanded = "true";
    this.#searchedText = text;
    this.#activate(0);
  }

  #createOption({ symbol, name }, index) {
    const option = document.createElement("li");
    option.id = `match-${index}`;
    option.role = "option";
    option.dataset.symbol = symbol;
    option.append(createText("strong", symbol), ` ${name}`);
    if (this.#isListed(symbol)) option.append(" ", createText("small", "listed"));
    return option;
  }

  #activate(activeIndex) {
    this.#activeIndex = activeIndex;
    for (const [index, option] of [...this.#list.children].entries()) {
      option.ariaSelected = String(index === activeIndex);
      if (index === activeIndex) option.scrollIntoView({ block: "nearest" });
    }
    if (activeIndex < 0) this.#input.removeAttribute("aria-activedescendant");
    else this.#input.setAttribute("aria-activedescendant", `match-${activeIndex}`);
  }

  #pressKey(event) {
    const { length } = this.#list.children;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && length) {
      event.preventDefault();
      this.#activate((this.#activeIndex + step + length) % length);
    } else if (event.key === "Enter") {
      const isCurrent = this.#searchedText === this.#input.value.trim();
      if (this.#activeIndex >= 0 && isCurrent) this.#choose(this.#list.children[this.#activeIndex]);
      this.close();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      if (length) this.close();
      else this.#input.blur();
    }
  }

  #choose(option) {
    this.#input.value = option.dataset.symbol;
  }

  #press(event) {
    const option = event.target.closest("[role=option]");
    if (!option) return;
    event.preventDefault(); // the field keeps the focus
    this.#choose(option);
    this.close();
    this.#form.requestSubmit();
  }

  // An input removes line breaks, which would join the symbols of a pasted column.
  #paste(event) {
    const text = event.clipboardData?.getData("text") ?? "";
    if (!/[\r\n\t]/.test(text.trim())) return;
    event.preventDefault();
    const { selectionStart, selectionEnd } = this.#input;
    this.#input.setRangeText(text.trim().replace(/[\r\n\t]+/g, ", "), selectionStart, selectionEnd, "end");
    this.#searchLater();
  }
}

function createText(tag, text) {
  return Object.assign(document.createElement(tag), { textContent: text });
}
