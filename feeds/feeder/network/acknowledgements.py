"""Tracks which subscriptions of one connection the source has acknowledged. Pure.

A subscription without an answer is requested a second time. If the second request has no answer either, the symbol
counts as unknown to the source.
"""

from collections.abc import Collection, Iterable

ACKNOWLEDGEMENT_SECONDS = 10.0


class Acknowledgements:
    """Tracks which subscriptions the source has acknowledged, by native symbol.

    All native symbols belong to one connection. Times are in seconds of a monotonic clock.
    """

    def __init__(self, timeout: float = ACKNOWLEDGEMENT_SECONDS) -> None:
        self._timeout = timeout
        self._deadlines: dict[str, float] = {}
        self._repeated: set[str] = set()
        self.acknowledged: set[str] = set()

    @property
    def is_complete(self) -> bool:
        """Whether no subscription waits for an answer of the source."""
        return not self._deadlines

    def request(self, natives: Iterable[str], now: float) -> None:
        """Notes a request for subscriptions to native symbols.

        `now` is the time at which the last message of the request is sent.
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
        """Removes the requests that the source has not answered in time. Returns their native symbols in two lists.

        The first list has the symbols whose subscription the caller must request a second time. The second list has the
        symbols that count as unknown to the source.
        """
        overdue = [native for native, deadline in self._deadlines.items() if now >= deadline]
        for native in overdue:
            del self._deadlines[native]
        again = [native for native in overdue if native not in self._repeated]
        self._repeated.update(again)
        return again, [native for native in overdue if native not in set(again)]
