"""Computes the state of one source from the events of its connections. Pure."""

from feeds.sources.events import SourceState


class SourceStateTracker:
    """Holds the state of a source, the reason for the state, and the time at which the state began.

    Times are in unix microseconds.
    """

    def __init__(self, now: int) -> None:
        self.state = SourceState.RECONNECTING
        self.reason = "starting"
        self.since = now
        self._announced: tuple[SourceState, str] | None = None
        self._is_subscribed = False

    @property
    def is_connected(self) -> bool:
        return self.state is SourceState.CONNECTED

    def note_subscribed(self, now: int) -> None:
        """Notes that the source acknowledged a subscription."""
        self._is_subscribed = True
        # A silent source must send data first: a broken service may acknowledge subscriptions and send nothing.
        if self.state not in {SourceState.SILENT, SourceState.CONNECTED, SourceState.MAINTENANCE}:
            self._set(*(self._announced or (SourceState.CONNECTED, "")), now)

    def note_data(self, now: int) -> None:
        """Notes that the source sent data. Has no effect before a subscription is acknowledged."""
        if self._is_subscribed and self.state in {SourceState.SILENT, SourceState.RECONNECTING}:
            self._set(*(self._announced or (SourceState.CONNECTED, "")), now)

    def announce(self, state: SourceState, reason: str, now: int) -> None:
        """Notes the state that the source itself announced, such as maintenance."""
        self._announced = None if state is SourceState.CONNECTED else (state, reason)
        if self._announced is not None or self.state is SourceState.MAINTENANCE:
            self._set(state, reason, now)

    def note_silent(self, reason: str, now: int) -> None:
        self._end(SourceState.SILENT, reason, now)

    def note_lost(self, reason: str, now: int) -> None:
        """Notes that the connection ended or could not be opened."""
        self._end(SourceState.RECONNECTING, reason, now)

    def note_refused(self, reason: str, now: int) -> None:
        """Notes that the source refused this program, and that no retry helps."""
        self._end(SourceState.REFUSED, reason, now)

    def _end(self, state: SourceState, reason: str, now: int) -> None:
        self._announced, self._is_subscribed = None, False
        self._set(state, reason, now)

    def _set(self, state: SourceState, reason: str, now: int) -> None:
        if state is not self.state:
            self.since = now
        self.state, self.reason = state, reason
