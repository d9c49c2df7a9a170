// Moves a row by dragging its grip.

import { rowsOf } from "./row.js";

// `onMove(symbol, before)` is called at the end. `before` is the symbol of the next row, or empty.
export function enableDrag(onMove) {
  const workspace = document.getElementById("workspace");
  let row = null;
  let initialNext = null;

  workspace.addEventListener("pointerdown", (event) => {
    const grip = event.target.closest(".grip");
    if (!grip || event.button) return;
    event.preventDefault();
    row = grip.closest("tr");
    initialNext = row.nextElementSibling;
    row.classList.add("dragged");
    workspace.setPointerCapture(event.pointerId);
  });

  workspace.addEventListener("pointermove", (event) => {
    if (row) moveTo(row, event.clientY);
  });

  for (const type of ["pointerup", "pointercancel"]) {
    workspace.addEventListener(type, () => {
      if (!row) return;
      const moved = row;
      row = null;
      moved.classList.remove("dragged");
      const rows = rowsOf(document);
      const next = rows[rows.indexOf(moved) + 1];
      if (type === "pointercancel") moved.parentNode.insertBefore(moved, initialNext);
      else if (moved.nextElementSibling !== initialNext) onMove(moved.dataset.symbol, next?.dataset.symbol ?? "");
    });
  }
}

function moveTo(row, clientY) {
  for (const other of rowsOf(document)) {
    if (other === row) continue;
    const { top, height } = other.getBoundingClientRect();
    if (clientY < top || clientY > top + height) continue;
    const isUpperHalf = clientY < top + height / 2;
    if (isUpperHalf && other.previousElementSibling !== row) other.before(row);
    else if (!isUpperHalf && other.nextElementSibling !== row) other.after(row);
    return;
  }
}
