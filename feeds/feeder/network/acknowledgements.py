"""Tracks which native symbols a connection has requested and which ones the source acknowledged. Pure.

A request that stays unanswered is repeated once. After that, the symbol is unknown to the source.
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
        """Notes that subscriptions are requested. `now` is when the last of their messages is sent."""
        for native in natives:
            self._deadlines[native] = now + self._timeout

    def acknowledge(self, natives: Iterable[str]) -> None:
        for native in natives:
            self._deadlines.pop(native, None)
            self.acknowledged.add(native)

    def remove(self, natives: Collection[str]) -> None:
        """Forgets native symbols that were refused, or that are not wanted any more."""
        for native in natives:
            self._deadlines.pop(native, None)
            self._repeated.discard(native)
        self.acknowledged.difference_update(natives)

    def take_overdue(self, now: float) -> tuple[list[str], list[str]]:
        """Returns the native symbols to request again, and those that are unknown to the source.

        Both are forgotten: call `request` for those that are requested again.
        """
        overdue = [native for native, deadline in self._deadlines.items() if now >= deadline]
        for native in overdue:
            del self._deadlines[native]
        again = [native for native in overdue if native not in self._repeated]
        self._repeated.update(again)
        return again, [native for native in overdue if native not in set(again)]
