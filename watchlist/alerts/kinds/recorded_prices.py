"""Reads the earlier prices that alerts on highs, lows and changes need from recorded bars."""

from collections.abc import Sequence
from datetime import date

import redis
import structlog
from django.db.models import Max, Min

from feeds.bar_layout import SECONDS, BarRing, day_key, decode_day
from feeds.errors import BadRecord, StoreUnavailable
from feeds.models import DayBar, MinuteBar, Tape
from feeds.store.connection import answering
from feeds.store.keys import symbol_prefix
from watchlist.alerts.engine_storage import translate_errors
from watchlist.alerts.kinds.windows import MINUTE_US, SECOND_US
from watchlist.alerts.records import Close
from watchlist.prices.day import PriceRange

WINDOW_MINUTES = 24 * 60 + 2

log = structlog.get_logger(__name__)


class RecordedCloses:
    """Reads bars of minutes from the database, and bars of seconds from Redis."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def find(self, symbol: str, source: str, until: int) -> Sequence[Close]:
        """Returns the newest update of each bar, from a day before the time `until` (unix microseconds) until now.

        If Redis is unreachable, bars of seconds are missing. Raises AlertsUnavailable.
        """
        minutes = read_minutes(symbol, source, until)
        try:
            return [*minutes, *self._read_seconds(symbol, source)]
        except (StoreUnavailable, BadRecord) as error:
            log.warning("bars of seconds unavailable", symbol=symbol, error=str(error))
            return minutes

    def _read_seconds(self, symbol: str, source: str) -> list[Close]:
        prefix = symbol_prefix(self._client)(symbol)
        with answering():
            pipeline = self._client.pipeline(transaction=False)
            pipeline.get(prefix + day_key(symbol))
            pipeline.get(prefix + SECONDS.key(symbol))
            day, ring = pipeline.execute()
        if not day or not ring or (newest := decode_day(day)).source != source:
            return []
        return read_ring(ring, newest.timestamp // SECOND_US)


def read_range(symbol: str, source: str, first: int, last: int) -> PriceRange | None:
    """Returns the lowest and the highest price of a symbol in the market days `first` to `last`, both included.

    Returns None if there is no bar of these days. The bar of the running day can be a minute old. Raises
    AlertsUnavailable.
    """
    days = date.fromordinal(first), date.fromordinal(last)
    with translate_errors():
        bars = DayBar.objects.filter(tape__symbol=symbol, tape__source=source, day__range=days)
        found = bars.aggregate(low=Min("low"), high=Max("high"))
    return None if found["low"] is None else PriceRange(found["low"], found["high"])


def read_minutes(symbol: str, source: str, until: int) -> list[Close]:
    """Returns the newest update of each saved minute from a day before `until` on.

    Also returns the newest update of the last saved minute before that time.
    """
    first = until // MINUTE_US - WINDOW_MINUTES
    with translate_errors():
        tape = Tape.objects.filter(symbol=symbol, source=source).values_list("pk", flat=True).first()
        if tape is None:
            return []
        bars = MinuteBar.objects.filter(id__gte=MinuteBar.key(tape, 0), id__lt=MinuteBar.key(tape + 1, 0))
        rows = bars.values_list("id", "last_us", "last_seq", "close")
        before = list(rows.filter(id__lt=MinuteBar.key(tape, first)).order_by("-id")[:1])
        later = list(rows.filter(id__gte=MinuteBar.key(tape, first)).order_by("id"))
    base = MinuteBar.key(tape, 0)
    return [((key - base) * MINUTE_US + last_us, last_seq, close) for key, last_us, last_seq, close in before + later]


def read_ring(ring: bytes, newest_second: int, layout: BarRing = SECONDS) -> list[Close]:
    """Returns the newest update of each second in a ring buffer of bars.

    `newest_second` is the unix time at which the newest bar in the buffer begins.
    """
    first = newest_second - layout.slots + 1
    data = b"".join(ring[begin : end + 1] for begin, end in layout.byte_ranges(first, newest_second))
    slots = layout.unpack(data, first, newest_second)
    return [(start * SECOND_US + slot.last_us, slot.last_seq, slot.close) for start, slot in slots]
