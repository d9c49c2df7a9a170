"""The one rule for what a day is: it begins at a time of day in a zone. Pure."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Days:
    """Which day a moment belongs to. A day begins at `start` in `zone` and ends where the next begins.

    It carries the date on which it begins. Where clocks change it has 23 or 25 hours; a start that the clock leaps
    over counts by the offset before the leap.
    """

    def __init__(self, zone: tzinfo, start: time) -> None:
        self._zone = zone
        self._start = start
        self._day = self._from = self._to = 0

    def find(self, at: int) -> int:
        """The ordinal of the day of a moment in unix microseconds."""
        if not self._from <= at < self._to:  # nearly all updates in a row are of one day
            day = (EPOCH + at * MICROSECOND).astimezone(self._zone).date().toordinal()
            while at < self.begin(day):  # not begun yet; twice where a date was leapt over
                day -= 1
            self._day, self._from, self._to = day, self.begin(day), self.begin(day + 1)
        return self._day

    def begin(self, day: int) -> int:
        """The first moment of a day, in unix microseconds."""
        begins = datetime.combine(date.fromordinal(day), self._start, tzinfo=self._zone)
        return (begins.astimezone(UTC) - EPOCH) // MICROSECOND
