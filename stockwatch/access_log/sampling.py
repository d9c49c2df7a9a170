"""Limits how many log lines of one kind are written per second.

The limit keeps a flood of lines from filling the disk.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

WINDOW_SECONDS = 1.0
Kind = tuple[str, str]
"""The name of a logger, and the text of a line without its values."""
MAX_KINDS = 1000
"""The most kinds that are counted per second. If there are more, the further kinds of a logger count as one kind."""
FURTHER = "further kinds"
"""The text of the kind as which the further kinds of a logger count."""


def call_later(seconds: float, call: Callable[[], None]) -> None:
    """Calls a function in another thread after a time. The call is left out if the process ends earlier."""
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    with suppress(RuntimeError):  # no new thread can start: the process is ending, or has too many threads
        timer.start()


class LineSampler:
    """Lets at most `limit` lines of each kind pass per second, and counts the lines that are left out.

    A `limit` of 0 lets all lines pass. `report` is called at most once a second for each kind, with the kind and the
    number of lines of this kind that were left out. `clock` returns seconds since any fixed moment. `later` calls a
    function after some seconds.
    """

    def __init__(
        self,
        limit: int,
        report: Callable[[Kind, int], None],
        clock: Callable[[], float] = time.monotonic,
        later: Callable[[float, Callable[[], None]], None] = call_later,
    ) -> None:
        self._limit, self._report = limit, report
        self._clock, self._later = clock, later
        self._lock = threading.Lock()
        self._window = 0.0
        self._passed: dict[Kind, int] = {}
        self._left_out: dict[Kind, int] = {}

    def admit(self, kind: Kind) -> bool:
        """Counts a line. Returns whether the line is to be written."""
        return self._check(kind, count=True)

    def has_room(self, kind: Kind) -> bool:
        """Returns whether one more line of a kind may be written. If not, counts the line as left out.

        Callers use this method to build only lines that will be written. If the result is true, the line does not count
        until `admit` is called.
        """
        return self._check(kind, count=False)

    def _check(self, kind: Kind, *, count: bool) -> bool:
        if not self._limit:
            return True
        with self._lock:
            finished = self._begin_window()
            if kind not in self._passed and len(self._passed) >= MAX_KINDS:
                kind = kind[0], FURTHER
            passed = self._passed.get(kind, 0)
            fits = passed < self._limit
            if fits and count:
                self._passed[kind] = passed + 1
            elif not fits:
                self._leave_out(kind)
        self._report_all(finished)
        return fits

    def _begin_window(self) -> dict[Kind, int]:
        """Begins to count from 0 after WINDOW_SECONDS.

        Returns how many lines of each kind were left out before. Returns an empty dict if the counts go on.
        """
        now = self._clock()
        if now - self._window < WINDOW_SECONDS:
            return {}
        self._window, self._passed = now, {}
        finished, self._left_out = self._left_out, {}
        return finished

    def _leave_out(self, kind: Kind) -> None:
        if not self._left_out:  # the timer reports this line if no further line comes
            self._later(WINDOW_SECONDS, self.flush)
        self._left_out[kind] = self._left_out.get(kind, 0) + 1

    def flush(self) -> None:
        """Reports all lines that were left out since the last report."""
        with self._lock:
            finished, self._left_out = self._left_out, {}
        self._report_all(finished)

    def _report_all(self, finished: dict[Kind, int]) -> None:
        for kind, count in finished.items():
            self._report(kind, count)
