"""Keeps the evaluation of alerts and the database in step.

People change alerts in the database. The evaluation changes the states of alerts in memory. `follow` reads what people
have changed. `write` stores what the evaluation has changed.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog

from feeds import metrics
from watchlist.alert_kinds import State
from watchlist.alerts import engine_storage
from watchlist.alerts.engine_storage import FindBlindness, Results, split_results
from watchlist.alerts.evaluator import Evaluator
from watchlist.alerts.records import Progress

log = structlog.get_logger(__name__)

PROGRESS_DELAY_SECONDS = 5.0
"""How many seconds after an evaluation the database learns how far the symbols were evaluated.

So a restarted engine evaluates the updates of the last seconds again. They can fire new alerts that the killed engine
did not know yet. They change nothing for other alerts. `engine.REPLAY_SECONDS` must be longer.
"""


class AlertSync:
    """Reads and writes the alerts of one evaluation.

    `now` returns unix seconds. `clock` returns seconds since any fixed moment.

    Each method raises AlertsUnavailable if the database does not answer. The same call may then be repeated.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        now: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        find_blindness: FindBlindness = lambda _firing, _begin, _end: None,
    ) -> None:
        self._evaluator = evaluator
        self._now = now
        self._clock = clock
        self._find_blindness = find_blindness
        self._followed_to = datetime.fromtimestamp(0, UTC)
        self._stale: set[int] = set()
        """The ids of alerts that must be read again, because the database has another version of them."""
        self._unusable: dict[int, int] = {}
        """A dict from the id of an alert to a version that cannot be evaluated. Another version is tried again."""
        self._unwritten: list[Results] = []
        self._young_progress: deque[tuple[float, Sequence[Progress]]] = deque()
        """Progress that will be written later, with the time at which it was taken."""

    def load(self) -> None:
        """Reads the progress of all symbols and all active alerts."""
        self._followed_to = self._time()
        self.restore_progress()
        for records in engine_storage.read_active(self._skip):
            for record in records:
                self._evaluator.put(record)

    def _skip(self, alert_id: int, version: int) -> None:
        if self._unusable.get(alert_id) != version:
            self._unusable[alert_id] = version
            log.warning("alert not usable", alert=alert_id)

    def restore_progress(self) -> None:
        """Reads how far this or another engine has evaluated each symbol."""
        for progress in engine_storage.read_progress():
            self._evaluator.restore(progress)

    def write(self, *, with_progress: bool) -> None:
        """Writes all changes and firings of the evaluation.

        If `with_progress` is true, also writes how far the symbols were evaluated PROGRESS_DELAY_SECONDS ago.
        """
        self._write_parts()
        progress = self._take_progress() if with_progress else []
        self._unwritten += split_results(Results(*self._evaluator.take_changes(), progress, self._time()))
        self._write_parts()

    def _take_progress(self) -> list[Progress]:
        now = self._clock()
        self._young_progress.append((now, self._evaluator.take_progress()))
        progress: dict[str, Progress] = {}
        while self._young_progress and self._young_progress[0][0] <= now - PROGRESS_DELAY_SECONDS:
            progress |= {each.symbol: each for each in self._young_progress.popleft()[1]}
        return list(progress.values())

    def _write_parts(self) -> None:
        while self._unwritten:
            results = self._unwritten[0]
            conflicts = engine_storage.write_results(results, self._time(), self._find_blindness)
            del self._unwritten[0]
            self._stale |= conflicts
            # If the evaluation changed such an alert again, its version could become equal to the version that a
            # person wrote. A write would then replace the person's change.
            for alert_id in conflicts:
                self._evaluator.remove(alert_id)
            self._count(results, conflicts)

    def _count(self, results: Results, conflicts: set[int]) -> None:
        written = [firing for firing in results.firings if firing.alert_id not in conflicts]
        metrics.ALERTS_FIRED.inc(len(written))
        metrics.ALERTS_FIRED_LATE.inc(sum(firing.late for firing in written))
        metrics.ALERTS_CONFLICTS.inc(len(conflicts))
        for firing in written:
            if firing.received_ms:
                metrics.ALERTS_DELAY.observe(max(self._now() - firing.received_ms / 1000, 0))

    def follow(self) -> None:
        """Reads the alerts that people or other engines have changed. Call `write` first."""
        found = engine_storage.read_versions(self._followed_to)
        self._stale |= {alert_id for alert_id, version, state, _ in found if self._is_stale(alert_id, version, state)}
        if self._stale:
            self._read_again()
        newest = max((changed_at for *_, changed_at in found), default=self._followed_to)
        # A clock that is ahead must not hide later changes.
        self._followed_to = max(self._followed_to, min(newest, self._time()))

    def _is_stale(self, alert_id: int, version: int, state: str) -> bool:
        known = self._evaluator.known_version(alert_id)
        if known:
            return version != known
        return state == State.ACTIVE and version != self._unusable.get(alert_id)

    def _read_again(self) -> None:
        records = engine_storage.read_alerts(self._stale, self._skip)
        for alert_id in self._stale:
            self._evaluator.remove(alert_id)
        for record in records:
            self._evaluator.put(record)
        self._stale.clear()

    def _time(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)
