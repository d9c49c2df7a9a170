"""Keeps the levels of alerts sorted, so that bisection finds the alerts that a price reaches. Pure."""

from array import array
from bisect import bisect_left
from collections.abc import Callable
from math import inf


class Ladder:
    """The levels of alerts, sorted. Holds the slot of each alert, an index into `SlotTable`.

    If `rising` is true, a price reaches all levels at or below the price. Otherwise a price reaches all levels at or
    above the price. A level with its slot needs 12 bytes.
    """

    __slots__ = ("_keys", "_sign", "_slots")

    def __init__(self, *, rising: bool) -> None:
        # The keys ascend, and the level that is reached first has the last key. So an entry that leaves is cut off the
        # end, and no other entry moves.
        self._sign = -1.0 if rising else 1.0
        self._keys = array("d")
        self._slots = array("I")

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def next_level(self) -> float:
        """The level that is reached first. Without levels: infinity if rising, otherwise minus infinity."""
        return self._sign * (self._keys[-1] if self._keys else -inf)

    def add(self, level: float, slot: int) -> None:
        """Adds a level. Several alerts may have the same level."""
        key = self._sign * level
        at = bisect_left(self._keys, key)
        self._keys.insert(at, key)
        self._slots.insert(at, slot)

    def remove(self, level: float, slot: int) -> None:
        """Removes a level that was added for `slot`."""
        at = self._slots.index(slot, bisect_left(self._keys, self._sign * level))
        del self._keys[at], self._slots[at]

    def reached_if(self, is_reached: Callable[[float], bool]) -> "array[int]":
        """Returns the slots of all alerts whose level `is_reached` accepts.

        If `is_reached` accepts a level, `is_reached` must also accept every level that a price reaches earlier: every
        lower level if rising, otherwise every higher level.
        """
        return self._slots[bisect_left(self._keys, True, key=lambda key: is_reached(self._sign * key)) :]

    def reached(self, price: float) -> "array[int]":
        """Returns the slots of all alerts whose level the price reaches."""
        return self._slots[bisect_left(self._keys, self._sign * price) :]
