// The field that adds symbols: offers what matches while one types. Enter adds the marked match, or what was typed.

const WAIT = 120;

export class Combobox {
  #form;
  #input;
  #list;
  #isListed;
  #timer = 0;
  #asked = null; // the text that the matches are for
  #at = -1;

  // `isListed(symbol)` says whether the list on the page has it.
  constructor(form, isListed) {
    this.#form = form;
    this.#input = form.querySelector("input[data-search]");
    this.#list = form.querySelector("[role=listbox]");
    this.#isListed = isListed;
    this.#describe();
    this.#input.addEventListener("input", () => this.#wait());
    this.#input.addEventListener("keydown", (event) => this.#press(event));
    this.#input.addEventListener("paste", (event) => this.#paste(event));
    this.#input.addEventListener("blur", () => this.close());
    this.#list.addEventListener("pointerdown", (event) => this.#point(event));
  }

  focus() {
    this.#input.focus();
    this.#input.select();
  }

  clear() {
    this.#input.value = "";
    this.close();
  }

  close() {
    clearTimeout(this.#timer);
    this.#list.hidden = true;
    this.#list.replaceChildren();
    this.#asked = null;
    this.#mark(-1);
    this.#input.setAttribute("aria-expanded", "false");
  }

  #describe() {
    const attributes = {
      role: "combobox",
      "aria-expanded": "false",
      "aria-controls": this.#list.id,
      "aria-autocomplete": "list",
    };
    for (const [name, value] of Object.entries(attributes)) this.#input.setAttribute(name, value);
    this.#input.removeAttribute("list");
  }

  #wait() {
    clearTimeout(this.#timer);
    const text = this.#input.value.trim();
    if (!text || text.length > 40 || /[,;]/.test(text)) this.close();
    else this.#timer = setTimeout(() => this.#ask(text), WAIT);
  }

  async #ask(text) {
    let matches;
    try {
      const answer = await fetch(`${this.#input.dataset.search}?q=${encodeURIComponent(text)}`);
      matches = await answer.json();
    } catch {
      return; // what is typed can be added all the same
    }
    if (this.#input.value.trim() !== text || document.activeElement !== this.#input) return;
    if (!matches.length) {
      this.close();
      return;
    }
    this.#list.replaceChildren(...matches.map((match, place) => this.#option(match, place)));
    this.#list.hidden = false;
    this.#input.setAttribute("aria-expanded", "true");
    this.#asked = text;
    this.#mark(0);
  }

  #option({ symbol, name }, place) {
    const option = document.createElement("li");
    option.id = `match-${place}`;
    option.role = "option";
    option.dataset.symbol = symbol;
    const strong = document.createElement("strong");
    strong.textContent = symbol;
    option.append(strong, ` ${name}`);
    if (this.#isListed(symbol)) {
      const note = document.createElement("small");
      note.textContent = "listed";
      option.append(" ", note);
    }
    return option;
  }

  #mark(at) {
    this.#at = at;
    for (const [place, option] of [...this.#list.children].entries()) {
      option.setAttribute("aria-selected", String(place === at));
      if (place === at) option.scrollIntoView({ block: "nearest" });
    }
    if (at < 0) this.#input.removeAttribute("aria-activedescendant");
    else this.#input.setAttribute("aria-activedescendant", `match-${at}`);
  }

  #press(event) {
    const many = this.#list.children.length;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && many) {
      event.preventDefault();
      this.#mark((this.#at + step + many) % many);
    } else if (event.key === "Enter") {
      if (this.#at >= 0 && this.#asked === this.#input.value.trim()) this.#choose(this.#list.children[this.#at]);
      this.close();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      if (many) this.close();
      else this.#input.blur();
    }
  }

  #choose(option) {
    this.#input.value = option.dataset.symbol;
  }

  #point(event) {
    const option = event.target.closest("[role=option]");
    if (!option) return;
    event.preventDefault(); // the focus stays in the field
    this.#choose(option);
    this.close();
    this.#form.requestSubmit();
  }

  // A field of one line would glue the lines of a pasted column together.
  #paste(event) {
    const text = event.clipboardData?.getData("text") ?? "";
    if (!/[\r\n\t]/.test(text.trim())) return;
    event.preventDefault();
    this.#input.setRangeText(text.trim().replace(/[\r\n\t]+/g, ", "), this.#input.selectionStart, this.#input.selectionEnd, "end");
    this.#wait();
  }
}
