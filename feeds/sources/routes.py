"""Keeps which native symbols one connection asked for, which ones the source acknowledged, and their states.

Pure. Prices of other symbols are not routed: a source can send prices of a symbol that this connection never asked for.
"""

from collections.abc import Iterable

from feeds.sources.events import Event, Subscribed, SymbolState, SymbolStatus

MAX_STATES = 20_000
"""The greatest number of symbols whose states are kept. It bounds memory; the largest sources list a few thousand."""


class Routes:
    """The native symbols of one connection."""

    def __init__(self) -> None:
        self._asked: dict[str, None] = {}
        self._acknowledged: set[str] = set()
        self._states: dict[str, SymbolState] = {}

    def ask(self, natives: Iterable[str]) -> None:
        """Notes that the connection subscribes to symbols."""
        self._asked.update(dict.fromkeys(natives))

    def drop(self, natives: Iterable[str]) -> None:
        """Notes that the connection does not want symbols any more."""
        for native in natives:
            self._asked.pop(native, None)
            self._acknowledged.discard(native)

    def is_asked(self, native: str) -> bool:
        return native in self._asked

    def is_acknowledged(self, native: str) -> bool:
        """Returns whether to route prices of this symbol."""
        return native in self._acknowledged

    def acknowledge(self, natives: Iterable[str]) -> list[Event]:
        """Returns the events of an acknowledgement. Symbols that the connection did not ask for are left out."""
        acknowledged = tuple(native for native in natives if native in self._asked)
        if not acknowledged:
            return []
        self._acknowledged.update(acknowledged)
        states = [SymbolStatus(native, self._states[native]) for native in acknowledged if native in self._states]
        return [Subscribed(acknowledged), *states]

    def set_state(self, native: str, state: SymbolState) -> list[Event]:
        """Returns a SymbolStatus if the state of an acknowledged symbol changed.

        The states of other symbols are kept, because a source lists all symbols before it acknowledges any.
        """
        is_known = native in self._states
        if self._states.get(native) == state or not (is_known or len(self._states) < MAX_STATES):
            return []
        self._states[native] = state
        return [SymbolStatus(native, state)] if native in self._acknowledged else []


def chunks(natives: Iterable[str], size: int) -> list[tuple[str, ...]]:
    """Returns the symbols in tuples of at most `size`."""
    symbols = tuple(natives)
    return [symbols[start : start + size] for start in range(0, len(symbols), size)]
