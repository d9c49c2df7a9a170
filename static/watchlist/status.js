// The status pill. What a screen reader hears changes only when the state does; the count of seconds stands beside it.

import { writeAge } from "./format.js";

export class Status {
  #element;
  #word;
  #detail;
  #offline = false;
  #state = { name: "connecting", again: false };

  constructor(element) {
    this.#element = element;
    this.#word = element.querySelector("[role=status]");
    this.#detail = element.querySelector("small");
  }

  set(state) {
    this.#state = state;
  }

  // The browser says that it has no network; it may be wrong, so this only names what the socket finds.
  setOffline(offline) {
    this.#offline = offline;
  }

  // `age` of the newest price of all in milliseconds, undefined while there is none; `now` is performance.now().
  paint(age, staleAfter, now) {
    const [kind, word, detail] = this.#words(age, staleAfter, now);
    if (this.#element.dataset.state !== kind) this.#element.dataset.state = kind;
    if (this.#word.textContent !== word) this.#word.textContent = word;
    if (this.#detail.textContent !== detail) this.#detail.textContent = detail;
  }

  #words(age, staleAfter, now) {
    const { name, until, code, again } = this.#state;
    if (name === "refused") return ["offline", "Offline", `refused (${code})`];
    if (this.#offline && name !== "live") return ["offline", "Offline", ""];
    if (name === "waiting") return ["waiting", "Reconnecting", `in ${Math.max(1, Math.ceil((until - now) / 1000))} s`];
    if (name === "connecting") return ["waiting", again ? "Reconnecting" : "Connecting", again ? "now" : ""];
    if (age === undefined) return ["stale", "No prices yet", ""];
    if (age > staleAfter) return ["stale", "No new prices", writeAge(age)];
    return ["live", "Live", writeAge(age)];
  }
}
