// Handles the keys of the page, and closes menus that the pointer or the focus leaves.

import { rowsOf } from "./row.js";

const PAGE_ROWS = 10;

// `actions`: add(), pause(), help(), remove(symbol), undo(), close(). They return false if they did nothing.
export function enableKeyboard(actions) {
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
      ArrowDown: () => moveFocus(1),
      ArrowUp: () => moveFocus(-1),
      PageDown: () => moveFocus(PAGE_ROWS),
      PageUp: () => moveFocus(-PAGE_ROWS),
      End: () => moveFocus(Infinity),
      Home: () => moveFocus(-Infinity),
      Delete: () => removeFocusedRow(actions),
    }[event.key];
    if (act && act() !== false) event.preventDefault();
  });
  for (const type of ["pointerdown", "focusin"]) {
    document.addEventListener(type, (event) => closeMenus(event.target.closest("details.menu")));
  }
}

function focusedRow() {
  return document.activeElement?.closest("#quotes tbody tr");
}

// From no row, only single steps start: other keys scroll the page.
function moveFocus(step) {
  const rows = rowsOf(document);
  const row = focusedRow();
  // A dialog keeps the focus until the frame after it was closed.
  const isFree = document.activeElement === document.body || document.activeElement?.closest("dialog:not([open])");
  if (!rows.length || (!row && (!isFree || Math.abs(step) > 1))) return false;
  const index = row ? rows.indexOf(row) + step : step > 0 ? 0 : Infinity;
  rows[Math.max(0, Math.min(index, rows.length - 1))].querySelector("a.symbol").focus();
  return true;
}

function removeFocusedRow(actions) {
  const row = focusedRow();
  if (!row || document.activeElement.closest("details")) return false;
  actions.remove(row.dataset.symbol);
  return true;
}

// Closes all menus except `kept` and returns whether one was open. `refocus` focuses its button.
function closeMenus(kept, refocus = false) {
  const menus = [...document.querySelectorAll("details.menu[open]")].filter((menu) => menu !== kept);
  for (const menu of menus) {
    menu.open = false;
    if (refocus) menu.querySelector("summary").focus();
  }
  return menus.length > 0;
}
