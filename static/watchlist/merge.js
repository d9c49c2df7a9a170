// Takes what the server answered to a change into the page that is there. Rows that stay are the same elements as
// before, with their live prices; everything around them is the server's.

// Regions that are replaced as a whole, wherever on the page they stand.
const REGIONS = ["heading", "tabs", "said", "add-state", "pick-state", "change-state"];

// Tells htmx how `hx-swap="merge"` is done; `onMerge` is called afterwards.
export function defineMerge(htmx, onMerge) {
  htmx.defineExtension("merge", {
    isInlineSwap: () => false,
    handleSwap(style, target, fragment) {
      if (style !== "merge") return false;
      const focus = noteFocus();
      for (const id of REGIONS) replaceRegion(id, fragment);
      keepRows(fragment);
      const board = document.getElementById("board");
      board.replaceChildren(...fragment.querySelector("#board").childNodes);
      returnFocus(focus);
      const fresh = [document.getElementById("tabs"), document.getElementById("said"), board];
      // At once, not when htmx has settled: a key pressed in between would send a form the plain way and reload the page.
      for (const element of fresh) htmx.process(element);
      onMerge();
      return fresh;
    },
  });
}

function replaceRegion(id, fragment) {
  const old = document.getElementById(id);
  const fresh = fragment.querySelector(`#${id}`);
  if (old && fresh && old.innerHTML !== fresh.innerHTML) old.replaceChildren(...fresh.childNodes);
}

// Puts the rows that are on the page in the place of the server's new ones.
function keepRows(fragment) {
  const old = new Map(rowsOf(document).map((row) => [row.dataset.symbol, row]));
  for (const fresh of rowsOf(fragment)) {
    const row = old.get(fresh.dataset.symbol);
    if (!row) continue;
    row.querySelector("a.symbol").href = fresh.querySelector("a.symbol").getAttribute("href");
    renewMenu(row.querySelector("td.more"), fresh.querySelector("td.more"));
    fresh.replaceWith(row);
  }
}

// A menu that is open stays open, and the same element where nothing in it changed.
function renewMenu(old, fresh) {
  fresh.querySelector("details").toggleAttribute("open", old.querySelector("details").open);
  if (old.innerHTML !== fresh.innerHTML) old.replaceWith(fresh);
}

export function rowsOf(root) {
  return [...root.querySelectorAll("#quotes tbody tr")];
}

// Elements that leave the page take the focus along; it belongs to where the person was.
function noteFocus() {
  const element = document.activeElement;
  const row = element?.closest("#quotes tbody tr");
  return { element, id: element?.id, at: row ? rowsOf(document).indexOf(row) : -1 };
}

function returnFocus({ element, id, at }) {
  if (document.activeElement !== document.body) return;
  const rows = rowsOf(document);
  const row = rows[Math.min(at, rows.length - 1)];
  if (element?.isConnected && element !== document.body) element.focus();
  else if (at >= 0 && row) row.querySelector("a.symbol").focus();
  else if (id) document.getElementById(id)?.focus();
}
