"""Finds the slot of an alert by the alert's id, in 6 to 12 bytes per alert. Pure.

A slot is the index of an alert in the arrays of the caller. A dict would need about 100 bytes per alert.
"""

from array import array

MIN_CELLS = 16
NOT_FOUND = -1

MULTIPLIER = 0x9E3779B97F4A7C15
"""Spreads ids over the cells: the upper 32 bits of a product are used, modulo the number of cells.

Successive ids in successive cells would form one long run of cells, and a removal would move all entries of the run.
"""


class IdSlots:
    """A hash table with open addressing. `ids` is the caller's array of ids by slot, which the table reads."""

    __slots__ = ("_cells", "_count", "_ids")

    def __init__(self, ids: "array[int]") -> None:
        self._ids = ids
        self._count = 0
        self._cells = array("I", bytes(4 * MIN_CELLS))  # 0: free, otherwise slot + 1

    @property
    def size(self) -> int:
        """The bytes of the table."""
        return self._cells.itemsize * len(self._cells)

    def find(self, alert_id: int) -> int:
        """Returns the slot of an alert, or NOT_FOUND."""
        cells, ids, mask = self._cells, self._ids, len(self._cells) - 1
        at = _spread(alert_id) & mask
        while cell := cells[at]:
            if ids[cell - 1] == alert_id:
                return cell - 1
            at = (at + 1) & mask
        return NOT_FOUND

    def add(self, slot: int) -> None:
        """Adds the id that `ids` holds for `slot`. The id must be new."""
        self._count += 1
        if 3 * self._count > 2 * len(self._cells):
            self._grow()
        self._insert(slot)

    def remove(self, alert_id: int) -> None:
        """Removes the id of an alert that was added."""
        cells, mask = self._cells, len(self._cells) - 1
        at = _spread(alert_id) & mask
        while self._ids[cells[at] - 1] != alert_id:
            at = (at + 1) & mask
        self._count -= 1
        cells[at] = 0
        # The entries behind a hole would not be found any more, so each is inserted again.
        at = (at + 1) & mask
        while cell := cells[at]:
            cells[at] = 0
            self._insert(cell - 1)
            at = (at + 1) & mask

    def _insert(self, slot: int) -> None:
        cells, mask = self._cells, len(self._cells) - 1
        at = _spread(self._ids[slot]) & mask
        while cells[at]:
            at = (at + 1) & mask
        cells[at] = slot + 1

    def _grow(self) -> None:
        old = self._cells
        self._cells = array("I", bytes(8 * len(old)))
        for cell in old:
            if cell:
                self._insert(cell - 1)


def _spread(alert_id: int) -> int:
    return (alert_id * MULTIPLIER & 0xFFFFFFFFFFFFFFFF) >> 32
