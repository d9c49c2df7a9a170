"""Keeps the evaluation of alerts and the database in step.

People change alerts in the database; the evaluation changes their states in memory. Changes of people arrive by
`follow`, changes of the evaluation leave by `write`.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from feeds import metrics
from watchlist.alert_kinds import State
from watchlist.alerts import engine_storage
from watchlist.alerts.engine_storage import Results, split_results
from watchlist.alerts.evaluator import Evaluator

log = structlog.get_logger(__name__)


class AlertSync:
    """Reads and writes the alerts of one evaluation. `now` returns unix seconds.

    Each method raises AlertsUnavailable if the database does not answer. The same call may then be repeated.
    """

    def __init__(self, evaluator: Evaluator, now: Callable[[], float]) -> None:
        self._evaluator = evaluator
        self._now = now
        self._followed_to = datetime.fromtimestamp(0, UTC)
        self._stale: set[int] = set()
        """The ids of alerts that must be read again, because the database has another version of them."""
        self._unusable: dict[int, int] = {}
        """A dict from the id of an alert to a version that cannot be evaluated. Another version is tried again."""
        self._unwritten: list[Results] = []

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
        """Writes all changes and firings of the evaluation, and the progress of symbols if `with_progress` is true."""
        self._write_parts()
        progress = self._evaluator.take_progress() if with_progress else []
        self._unwritten += split_results(Results(*self._evaluator.take_changes(), progress, self._time()))
        self._write_parts()

    def _write_parts(self) -> None:
        while self._unwritten:
            results = self._unwritten[0]
            conflicts = engine_storage.write_results(results, self._time())
            del self._unwritten[0]
            self._stale |= conflicts
            # Its version here may become equal to the one that a person wrote, and a write would then succeed.
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
        """Reads the alerts that people or other engines have changed. All changes must be written before."""
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
