"""Tracks which subscriptions of one connection the source has acknowledged. Pure.

A request that stays unanswered is repeated once. If the repeated request stays unanswered too, the symbol counts as
unknown to the source.
"""

from collections.abc import Collection, Iterable

ACKNOWLEDGEMENT_SECONDS = 10.0


class Acknowledgements:
    """The subscriptions of one connection. Times are in seconds of a monotonic clock."""

    def __init__(self, timeout: float = ACKNOWLEDGEMENT_SECONDS) -> None:
        self._timeout = timeout
        self._deadlines: dict[str, float] = {}
        self._repeated: set[str] = set()
        self.acknowledged: set[str] = set()

    @property
    def is_complete(self) -> bool:
        """Whether each request was acknowledged, refused or given up."""
        return not self._deadlines

    def request(self, natives: Iterable[str], now: float) -> None:
        """Begins to wait until the source acknowledges subscriptions to these native symbols.

        Several messages may be needed to subscribe to the symbols. `now` is the time at which the last of these
        messages is sent.
        """
        for native in natives:
            self._deadlines[native] = now + self._timeout

    def acknowledge(self, natives: Iterable[str]) -> None:
        for native in natives:
            self._deadlines.pop(native, None)
            self.acknowledged.add(native)

    def remove(self, natives: Collection[str]) -> None:
        """Forgets native symbols that were refused or are no longer wanted."""
        for native in natives:
            self._deadlines.pop(native, None)
            self._repeated.discard(native)
        self.acknowledged.difference_update(natives)

    def take_overdue(self, now: float) -> tuple[list[str], list[str]]:
        """Returns two lists: symbols to request again, and symbols unknown to the source.

        Forgets the requests of all these symbols. Call `request` for each symbol of the first list.
        """
        overdue = [native for native, deadline in self._deadlines.items() if now >= deadline]
        for native in overdue:
            del self._deadlines[native]
        again = [native for native in overdue if native not in self._repeated]
        self._repeated.update(again)
        return again, [native for native in overdue if native not in set(again)]
