// The keyboard: arrows, Enter, Delete, u, /, p, ?, Escape. Enter is the row's own link. Also closes menus that are left.

import { rowsOf } from "./merge.js";

// `actions`: add(), pause(), help(), remove(symbol), undo(), close().
export function enableKeys(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.key === "Escape") {
      if (!closeMenus(null, true)) actions.close();
      return;
    }
    if (event.target.closest("input, textarea, select, dialog[open]")) return;
    const act = {
      "/": actions.add,
      p: actions.pause,
      "?": actions.help,
      u: actions.undo,
      ArrowDown: () => walk(1),
      ArrowUp: () => walk(-1),
      Delete: () => removeRow(actions),
      Backspace: () => removeRow(actions),
    }[event.key];
    // What has nothing to act on is the browser's: arrows then scroll.
    if (act && act() !== false) event.preventDefault();
  });
  document.addEventListener("pointerdown", (event) => closeMenus(event.target.closest("details.menu")));
  document.addEventListener("focusin", (event) => closeMenus(event.target.closest("details.menu")));
}

function focusedRow() {
  return document.activeElement?.closest("#quotes tbody tr");
}

function walk(step) {
  const rows = rowsOf(document);
  const row = focusedRow();
  // A dialog that was closed a moment ago still has the focus, until the next frame.
  const isFree = document.activeElement === document.body || document.activeElement?.closest("dialog:not([open])");
  if (!rows.length || (!row && !isFree)) return false;
  const next = row ? rows[rows.indexOf(row) + step] : rows[step > 0 ? 0 : rows.length - 1];
  next?.querySelector("a.symbol").focus();
  return true;
}

function removeRow(actions) {
  const row = focusedRow();
  if (!row || document.activeElement.closest("details")) return false;
  actions.remove(row.dataset.symbol);
  return true;
}

// Closes every menu but `except`; returns whether one was open. By Escape the focus goes back to what opened it.
export function closeMenus(except, refocus = false) {
  const open = [...document.querySelectorAll("details.menu[open]")].filter((menu) => menu !== except);
  for (const menu of open) {
    menu.open = false;
    if (refocus) menu.querySelector("summary").focus();
  }
  return open.length > 0;
}
