// Shows the state of the connection, and announces it and other messages to screen readers.

import { formatAge } from "./format.js";

const SILENT_SHARE = 0.8; // of `staleAfter`: the status changes before the rows do

export class Status {
  isOffline = false; // as the browser reports it, which may be wrong: it matters only without a connection
  isPaused = false;
  fallback = ""; // what brings the prices instead of a socket: "stream", "polling" or nothing
  problem; // of a source of prices: { label, detail, hint }
  flowedAt; // of Quotes
  isClosed = false; // the market of all symbols on the page
  #element;
  #label;
  #detail; // counts seconds, so it is not announced
  #announcedState;
  #announcedMessage;
  #refusalReason = "";
  #state = { name: "connecting", isRetry: false };

  constructor(element, announcer) {
    this.#element = element;
    this.#label = element.querySelector("span");
    this.#detail = element.querySelector("small");
    [this.#announcedState, this.#announcedMessage] = announcer.children; // two, so that neither replaces the other
  }

  setState(state) {
    this.#state = state;
    if (state.name === "live") this.#refusalReason = "";
  }

  // A reason that arrives after the connection is outdated.
  setRefusalReason(reason) {
    if (this.#state.name !== "live") this.#refusalReason = reason;
  }

  announce(message) {
    // A screen reader repeats a message only if the text changes.
    const isRepeated = this.#announcedMessage.textContent === message;
    this.#announcedMessage.textContent = isRepeated ? `${message}\u00a0` : message;
  }

  show(quotes, serverTime, staleAfter, now) {
    this.isPaused = quotes.isFrozen;
    this.problem = quotes.sources?.problem(serverTime);
    this.isClosed = quotes.sources?.areAllClosed;
    this.flowedAt = quotes.flowedAt;
    this.paint(quotes.age(serverTime), quotes.hasSimulated ? staleAfter * SILENT_SHARE : Infinity, now);
  }

  // `age`: of the newest price, undefined without one, NaN if it is unknown. `now`: performance.now(). All in milliseconds.
  paint(age, silentAfter, now) {
    const [state, label, detail] = this.#describe(age, silentAfter, now);
    if (this.#element.dataset.state !== state) this.#element.dataset.state = state;
    const hint = this.problem?.hint ?? "";
    if (this.#element.title !== hint) this.#element.title = hint;
    if (this.#detail.textContent !== detail) this.#detail.textContent = detail;
    if (this.#label.textContent === label) return;
    this.#label.textContent = label;
    this.#announcedState.textContent = label;
  }

  #describe(age, silentAfter, now) {
    const { name, until, code, isRetry } = this.#state;
    const ageText = age === undefined ? "" : formatAge(age);
    if (name === "idle") return ["still", "", ""];
    if (this.isPaused) return ["paused", "Paused", ageText];
    if (this.fallback === "polling") return ["delayed", "Delayed: polling", ageText];
    if (!this.fallback) {
      if (name === "refused") {
        const reason = code === 4506 ? "sign in again" : `connection refused (${code})`;
        return ["offline", "Offline", this.#refusalReason || reason];
      }
      if (this.isOffline && name !== "live") return ["offline", "Offline", ageText];
      if (this.#refusalReason) return ["offline", "Offline", this.#refusalReason];
      if (name === "waiting") return ["waiting", "Reconnecting", `in ${Math.max(1, Math.ceil((until - now) / 1000))} s`];
      if (name === "connecting") return ["waiting", isRetry ? "Reconnecting" : "Connecting", isRetry ? "now" : ""];
    }
    if (this.problem) return ["stale", this.problem.label, this.problem.detail];
    if (this.isClosed) return ["live", "Market closed", ""];
    if (age === undefined) return ["stale", "No prices yet", ""];
    if (Number.isNaN(age)) return ["stale", "Age of prices unknown", ""];
    // New prices may have old times.
    if (age > silentAfter) return ["stale", now - this.flowedAt < silentAfter ? "Delayed prices" : "No new prices", ageText];
    return ["live", this.fallback ? "Live by stream" : "Live", ageText];
  }
}
