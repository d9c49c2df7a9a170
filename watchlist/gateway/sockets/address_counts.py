"""Counts the open connections of each client address, over all processes of a gateway. Pure."""

from collections import Counter
from collections.abc import Callable


class AddressCounts:
    """Counts connections by address. Until `share` is called, counts only the connections of this process."""

    def __init__(self) -> None:
        self._own: Counter[str] = Counter()
        self._note: Callable[[str, int], int] = lambda _address, _change: 0

    def share(self, note: Callable[[str, int], int]) -> None:
        """Makes the counts include the connections of other processes.

        `note` is called with an address and a change: 1 for a new connection, -1 for an ended connection, 0 for no
        change. `note` stores the change, and returns how many connections the address has in the other processes.
        """
        self._note = note

    def add(self, address: str) -> None:
        self._own[address] += 1
        self._note(address, 1)

    def remove(self, address: str) -> None:
        self._own[address] -= 1
        if self._own[address] <= 0:
            del self._own[address]
        self._note(address, -1)

    def count(self, address: str) -> int:
        """Returns how many connections of the address are open in all processes."""
        return self._own[address] + self._note(address, 0)
