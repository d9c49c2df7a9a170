// The status pill, and the one region that a screen reader listens to: it hears a change of state, what was done to a
// list, a new order; never a price. State and deeds have a place each there, or one would take the word from the other.
// The count of seconds stands beside the word, unheard.

import { writeAge } from "./format.js";

export class Status {
  #element;
  #word;
  #detail;
  #heard;
  #said;
  #offline = false;
  #paused = false;
  #polling = false;
  #reason = "";
  #state = { name: "connecting", again: false };

  constructor(element, announcer) {
    this.#element = element;
    this.#word = element.querySelector("span");
    this.#detail = element.querySelector("small");
    [this.#heard, this.#said] = announcer.children;
  }

  set(state) {
    this.#state = state;
    if (state.name === "live") this.#reason = "";
  }

  // The browser says that it has no network; it may be wrong, so this only names what the socket finds.
  setOffline(offline) {
    this.#offline = offline;
  }

  setPaused(paused) {
    this.#paused = paused;
  }

  // Prices come by polling for now.
  setPolling(polling) {
    this.#polling = polling;
  }

  // Why the gateway lets no socket in, where it said so; an answer that comes when it has let one in is old.
  setReason(reason) {
    if (this.#state.name !== "live") this.#reason = reason;
  }

  say(sentence) {
    // The same sentence twice is heard twice only if the text changes.
    this.#said.textContent = this.#said.textContent === sentence ? `${sentence}\u00a0` : sentence;
  }

  // `age` of the newest price shown in milliseconds, undefined while there is none; `now` is performance.now().
  paint(age, staleAfter, now) {
    const [kind, word, detail] = this.#words(age, staleAfter, now);
    if (this.#element.dataset.state !== kind) this.#element.dataset.state = kind;
    if (this.#detail.textContent !== detail) this.#detail.textContent = detail;
    if (this.#word.textContent === word) return;
    this.#word.textContent = word;
    this.#heard.textContent = word;
  }

  #words(age, staleAfter, now) {
    const { name, until, code, again } = this.#state;
    const told = age === undefined ? "" : writeAge(age);
    if (name === "resting") return ["still", "", ""];
    if (this.#paused) return ["paused", "Paused", told];
    if (this.#polling) return ["delayed", "Delayed: polling", told];
    if (name === "refused") return ["offline", "Offline", `refused (${code})`];
    if (this.#offline && name !== "live") return ["offline", "Offline", told];
    if (this.#reason) return ["offline", "Offline", this.#reason];
    if (name === "waiting") return ["waiting", "Reconnecting", `in ${Math.max(1, Math.ceil((until - now) / 1000))} s`];
    if (name === "connecting") return ["waiting", again ? "Reconnecting" : "Connecting", again ? "now" : ""];
    if (age === undefined) return ["stale", "No prices yet", ""];
    if (age > staleAfter) return ["stale", "No new prices", writeAge(age)];
    return ["live", "Live", writeAge(age)];
  }
}
