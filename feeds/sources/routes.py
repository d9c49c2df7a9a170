"""Keeps which native symbols a connection has requested, and which of them the source has acknowledged.

Pure. Only prices of acknowledged symbols are passed on.
"""

from collections.abc import Iterable

from feeds.sources.events import Event, Subscribed, SymbolState, SymbolStatus

MAX_STATES = 20_000
"""The greatest number of symbols whose states are kept. The largest sources list a few thousand symbols."""


class Routes:
    """The requested and the acknowledged native symbols of one connection, and the states of symbols."""

    def __init__(self) -> None:
        self._asked: dict[str, None] = {}
        self._acknowledged: set[str] = set()
        self._states: dict[str, SymbolState] = {}

    def ask(self, natives: Iterable[str]) -> None:
        """Notes that the connection has requested subscriptions to these symbols."""
        self._asked.update(dict.fromkeys(natives))

    def drop(self, natives: Iterable[str]) -> None:
        """Notes that the connection no longer wants these symbols."""
        for native in natives:
            self._asked.pop(native, None)
            self._acknowledged.discard(native)

    def is_asked(self, native: str) -> bool:
        return native in self._asked

    def is_acknowledged(self, native: str) -> bool:
        """Returns whether the source has acknowledged this symbol."""
        return native in self._acknowledged

    def acknowledge(self, natives: Iterable[str]) -> list[Event]:
        """Notes that the source acknowledged symbols. Returns events with the symbols and their known states.

        Ignores symbols that were not requested.
        """
        acknowledged = tuple(native for native in natives if native in self._asked)
        if not acknowledged:
            return []
        self._acknowledged.update(acknowledged)
        states = [SymbolStatus(native, self._states[native]) for native in acknowledged if native in self._states]
        return [Subscribed(acknowledged), *states]

    def set_state(self, native: str, state: SymbolState) -> list[Event]:
        """Notes the state of a symbol. Returns an event if the state of an acknowledged symbol has changed.

        If the symbol is not acknowledged yet, a later call of `acknowledge` returns the event.
        """
        is_known = native in self._states
        if self._states.get(native) == state or not (is_known or len(self._states) < MAX_STATES):
            return []
        self._states[native] = state
        return [SymbolStatus(native, state)] if native in self._acknowledged else []


def chunks(natives: Iterable[str], size: int) -> list[tuple[str, ...]]:
    """Returns the symbols in tuples of at most `size` symbols."""
    symbols = tuple(natives)
    return [symbols[start : start + size] for start in range(0, len(symbols), size)]
