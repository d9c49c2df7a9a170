// Merges an answer of the server into the page: rows, menus, messages and the focus stay where they can.

import { rowsOf } from "./row.js";

const REPLACED_REGIONS = [
  "heading", "tabs", "said", "add-state", "pick-state", "change-state", "source-badge", "source-note",
];

// Defines `hx-swap="merge"` for htmx. `onMerge(hasErrors, texts)` is called after each merge, with what the answer says.
// While `isBurst()`, an answer does not replace the errors of the answers before it.
export function defineMerge(htmx, isBurst, onMerge) {
  htmx.defineExtension("merge", {
    isInlineSwap: () => false,
    handleSwap(style, target, fragment) {
      if (style !== "merge") return false;
      const focus = captureFocus();
      const hasErrors = fragment.querySelector("#said .error") !== null;
      const texts = [...fragment.querySelectorAll("#said li > span, #said .chip")].map((item) => item.textContent);
      keepErrors(fragment.querySelector("#said"), isBurst());
      for (const id of REPLACED_REGIONS) replaceRegion(id, fragment);
      keepRows(fragment);
      document.getElementById("board").replaceChildren(...fragment.querySelector("#board").childNodes);
      restoreFocus(focus);
      onMerge(hasErrors, texts);
      return [];
    },
  });
}

function replaceRegion(id, fragment) {
  const old = document.getElementById(id);
  const fresh = fragment.querySelector(`#${id}`);
  if (!old || !fresh || old.innerHTML === fresh.innerHTML) return;
  // Several columns are chosen one after another.
  const isOpen = old.querySelector("#columns-menu")?.open;
  old.replaceChildren(...fresh.childNodes);
  if (isOpen) old.querySelector("#columns-menu").open = true;
}

function columnsOf(root) {
  return [...root.querySelectorAll("#quotes thead th")].map((header) => header.className).join();
}

// Each answer of a burst has only its own messages, so the errors before it stay. The server sends each Undo that is left.
function keepErrors(said, isBurst) {
  if (!isBurst) return;
  const texts = new Set([...said.querySelectorAll("li")].map((item) => item.textContent));
  const kept = [...document.querySelectorAll("#said .error")].filter((item) => !texts.has(item.textContent));
  if (!kept.length) return;
  const list = Object.assign(document.createElement("ul"), { className: "messages" });
  list.append(...kept);
  said.append(list);
}

function keepRows(fragment) {
  if (columnsOf(fragment) !== columnsOf(document)) return;
  const rows = new Map([...document.querySelectorAll("#quotes tbody tr")].map((row) => [row.dataset.symbol, row]));
  for (const fresh of rowsOf(fragment)) {
    const row = rows.get(fresh.dataset.symbol);
    if (!row) continue;
    row.querySelector("a.symbol").href = fresh.querySelector("a.symbol").getAttribute("href");
    row.querySelector(".remark")?.remove();
    row.querySelector("th").append(...fresh.querySelectorAll(".remark"));
    replaceMenu(row.querySelector("td.more"), fresh.querySelector("td.more"));
    fresh.replaceWith(row);
  }
}

// An open menu stays open. A menu that is equal stays the same element.
function replaceMenu(old, fresh) {
  fresh.querySelector("details").toggleAttribute("open", old.querySelector("details").open);
  if (old.innerHTML !== fresh.innerHTML) old.replaceWith(fresh);
}

// A removed element loses the focus to the new one with its id, or to the row at its place.
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
