"""Reports the metrics of one source."""

from feeds import metrics
from feeds.feeder.trades.gaps import Counts
from feeds.sources.events import SourceState


class SourceMetrics:
    def __init__(self, source: str) -> None:
        self._counters = {
            "trades": metrics.FEED_TRADES.labels(source),
            "repeats": metrics.FEED_REPEATS.labels(source),
            "ignored": metrics.FEED_IGNORED.labels(source),
            "gaps": metrics.FEED_GAPS.labels(source),
            "jumps": metrics.FEED_JUMPS.labels(source),
            "missed": metrics.FEED_MISSED.labels(source),
            "fetched": metrics.FEED_FETCHED.labels(source),
            "unfilled": metrics.FEED_UNFILLED.labels(source),
            "merged": metrics.FEED_MERGED.labels(source),
        }
        self._messages = metrics.FEED_MESSAGES.labels(source)
        self._connects = metrics.FEED_CONNECTS.labels(source)
        self._lag = metrics.FEED_LAG.labels(source)
        self._clock_difference = metrics.FEED_CLOCK_DIFFERENCE.labels(source)
        self._last_message = metrics.FEED_LAST_MESSAGE.labels(source)
        self._states = {state: metrics.FEED_STATE.labels(source, state.value) for state in SourceState}
        self._least_lag: int | None = None
        self._unreported_messages = 0

    def add(self, counts: Counts) -> None:
        """Adds `counts` to the counters of the metrics, then sets `counts` to 0."""
        for name, counter in self._counters.items():
            counter.inc(getattr(counts, name))
            setattr(counts, name, 0)

    def note_message(self) -> None:
        self._unreported_messages += 1

    def note_connect(self) -> None:
        self._connects.inc()

    def observe(self, lag_us: int) -> None:
        """Notes the time from a trade to its receipt. The time is negative if the source's clock is ahead of ours."""
        self._lag.observe(max(lag_us, 0) / 1e6)
        if self._least_lag is None or lag_us < self._least_lag:
            self._least_lag = lag_us

    def report(self, state: SourceState, last_message: int) -> None:
        """Updates the message counter and the gauges. Call this method about once a second.

        `last_message` is in unix microseconds.
        """
        self._messages.inc(self._unreported_messages)
        self._unreported_messages = 0
        if self._least_lag is not None:
            self._clock_difference.set(-self._least_lag / 1e6)
            self._least_lag = None
        self._last_message.set(last_message / 1e6)
        for each, gauge in self._states.items():
            gauge.set(each is state)
