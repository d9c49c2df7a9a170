// Rows are put elsewhere by dragging their grip, where the list stands in its own order; the buttons do the same.

import { rowsOf } from "./merge.js";

// `onMove(symbol, before)` is called at the end; `before` is the symbol that follows, empty at the end of the list.
export function enableDrag(onMove) {
  const workspace = document.getElementById("workspace");
  let row = null;
  let began = null;

  workspace.addEventListener("pointerdown", (event) => {
    const grip = event.target.closest(".grip");
    if (!grip || event.button) return;
    event.preventDefault();
    row = grip.closest("tr");
    began = row.nextElementSibling;
    row.classList.add("dragged");
    workspace.setPointerCapture(event.pointerId);
  });

  workspace.addEventListener("pointermove", (event) => {
    if (!row) return;
    for (const other of rowsOf(document)) {
      if (other === row) continue;
      const { top, height } = other.getBoundingClientRect();
      const upper = event.clientY < top + height / 2;
      if (event.clientY < top || event.clientY > top + height) continue;
      if (upper && other.previousElementSibling !== row) other.before(row);
      else if (!upper && other.nextElementSibling !== row) other.after(row);
      return;
    }
  });

  for (const kind of ["pointerup", "pointercancel"]) {
    workspace.addEventListener(kind, () => {
      if (!row) return;
      const moved = row;
      row = null;
      moved.classList.remove("dragged");
      if (kind === "pointercancel") moved.parentNode.insertBefore(moved, began);
      else if (moved.nextElementSibling !== began) {
        onMove(moved.dataset.symbol, moved.nextElementSibling?.dataset.symbol ?? "");
      }
    });
  }
}
