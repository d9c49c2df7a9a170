"""Keeps the sequence numbers of missed trades as ranges. Pure."""

from collections.abc import Iterable


class MissingRanges:
    """The sequence numbers of missed trades, stored as sorted ranges that do not touch."""

    __slots__ = ("_ranges",)

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int]] = []

    def __bool__(self) -> bool:
        return bool(self._ranges)

    @property
    def size(self) -> int:
        return sum(last - first + 1 for first, last in self._ranges)

    @property
    def bounds(self) -> tuple[int, int]:
        """The lowest and the highest number. There must be at least one number."""
        return self._ranges[0][0], self._ranges[-1][1]

    def add(self, first: int, last: int) -> None:
        """Adds the numbers from `first` to `last`, both included."""
        kept = []
        for start, end in self._ranges:
            if end < first - 1 or start > last + 1:
                kept.append((start, end))
            else:
                first, last = min(first, start), max(last, end)
        self._ranges = sorted([*kept, (first, last)])

    def add_each(self, numbers: Iterable[int]) -> None:
        """Adds single numbers. This method is fast for adjacent numbers in ascending order."""
        first = last = None
        for number in numbers:
            if first is not None and last is not None and number == last + 1:
                last = number
                continue
            if first is not None and last is not None:
                self.add(first, last)
            first = last = number
        if first is not None and last is not None:
            self.add(first, last)

    def remove(self, number: int) -> bool:
        """Removes a number. Returns whether the number was in a range."""
        for index, (first, last) in enumerate(self._ranges):
            if first <= number <= last:
                rest = [(first, number - 1), (number + 1, last)]
                self._ranges[index : index + 1] = [(start, end) for start, end in rest if start <= end]
                return True
        return False

    def between(self, after: int, until: int) -> list[tuple[int, int]]:
        """Returns the parts of the ranges that are strictly between `after` and `until`."""
        parts = [(max(first, after + 1), min(last, until - 1)) for first, last in self._ranges]
        return [(first, last) for first, last in parts if first <= last]

    def keep_highest(self, count: int) -> None:
        """Keeps only the `count` highest ranges."""
        del self._ranges[:-count]

    def remove_between(self, after: int, until: int) -> int:
        """Removes the numbers strictly between `after` and `until`. Returns how many numbers were removed."""
        if until <= after:
            return 0
        before = self.size
        kept = []
        for first, last in self._ranges:
            kept += [(first, min(last, after)), (max(first, until), last)]
        self._ranges = [(first, last) for first, last in kept if first <= last]
        return before - self.size
