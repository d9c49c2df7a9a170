"""Publishes the state of the alert engine in a thread of its own."""

import threading
from collections.abc import Mapping

import structlog

from stockwatch.alerting.state_publisher import StatePublisher
from watchlist.alerts.engine_state import EngineState

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 0.5


class BackgroundPublisher:
    """Passes states to a StatePublisher, which may wait for Redis. No method waits longer than CLOSE_SECONDS.

    Publishes only the newest state: a newer state replaces a state that still waits.
    """

    def __init__(self, publisher: StatePublisher) -> None:
        self._publisher = publisher
        self._changed = threading.Condition()
        self._newest: tuple[EngineState, Mapping[str, int]] | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="alert state", daemon=True)
        self._thread.start()

    def publish(self, state: EngineState, counts: Mapping[str, int]) -> None:
        """Publishes the state soon. `StatePublisher.publish` explains `counts`."""
        with self._changed:
            self._newest = state, counts
            self._changed.notify()

    def close(self) -> None:
        """Removes the published state from Redis and closes the connection, if Redis answers in time."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while newest := self._take():
            try:
                self._publisher.publish(*newest)
            except Exception:
                log.exception("the state of the alert engine was not published")
        self._publisher.close()

    def _take(self) -> tuple[EngineState, Mapping[str, int]] | None:
        """Waits for the newest state. Returns None after `close`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._newest)
            newest, self._newest = self._newest, None
            return None if self._closed else newest
