// Merges an answer of the server into the page. Remaining rows keep their elements, which show live prices.

const REPLACED_REGIONS = ["heading", "tabs", "said", "add-state", "pick-state", "change-state"];

// Defines `hx-swap="merge"` for htmx. `onMerge` is called after each merge.
export function defineMerge(htmx, onMerge) {
  htmx.defineExtension("merge", {
    isInlineSwap: () => false,
    handleSwap(style, target, fragment) {
      if (style !== "merge") return false;
      const focus = captureFocus();
      for (const id of REPLACED_REGIONS) replaceRegion(id, fragment);
      keepRows(fragment);
      const board = document.getElementById("board");
      board.replaceChildren(...fragment.querySelector("#board").childNodes);
      restoreFocus(focus);
      const replaced = [document.getElementById("tabs"), document.getElementById("said"), board];
      // At once: a form that is sent before it is processed reloads the page.
      for (const element of replaced) htmx.process(element);
      onMerge();
      return replaced;
    },
  });
}

export function rowsOf(root) {
  return [...root.querySelectorAll("#quotes tbody tr")];
}

function replaceRegion(id, fragment) {
  const old = document.getElementById(id);
  const fresh = fragment.querySelector(`#${id}`);
  if (old && fresh && old.innerHTML !== fresh.innerHTML) old.replaceChildren(...fresh.childNodes);
}

function keepRows(fragment) {
  const rows = new Map(rowsOf(document).map((row) => [row.dataset.symbol, row]));
  for (const fresh of rowsOf(fragment)) {
    const row = rows.get(fresh.dataset.symbol);
    if (!row) continue;
    row.querySelector("a.symbol").href = fresh.querySelector("a.symbol").getAttribute("href");
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
