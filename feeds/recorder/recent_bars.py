"""Bars in Redis, for pages: ten minutes of seconds, a day of minutes and the newest day of each symbol.

It knows neither Kafka nor the database. A write may be repeated; Redis may forget everything, and says by the length of
a string that it did.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
import redis

from feeds.bar_layout import MINUTES, SECONDS, BarRing, Day, day_key, decode_day
from feeds.errors import BadRecord
from feeds.recorder.bars import Bar
from feeds.recorder.open_bars import BarSeries, SymbolBars, Wanted
from feeds.store.connection import Script, answering

AT_ONCE = 100
"""Symbols in one call: Redis serves nobody else meanwhile, 15 us a symbol."""

TTL = {
    "seconds": timedelta(minutes=15),
    "minutes": timedelta(hours=25),
    "day": timedelta(hours=168),
}
"""How long what is not written any more is kept; a day as long as a price, over a weekend without a feed."""

RECORD = """
-- KEYS: ring of seconds, ring of minutes, day; of each symbol in turn. ARGV: bytes of a whole ring and its TTL in ms,
-- of seconds and of minutes; TTL of a day; then for each symbol twice the count of slots with offset and bytes of each,
-- and the day or nothing. Returns for each symbol 1 where the ring of minutes was not there before.
local at = 6
local function write(key, size, ttl)
  local count = tonumber(ARGV[at])
  at = at + 1
  if count == 0 then return 0 end
  local new = redis.call('STRLEN', key) < size
  if new then redis.call('SETRANGE', key, size - 1, '\\0') end
  for _ = 1, count do
    redis.call('SETRANGE', key, ARGV[at], ARGV[at + 1])
    at = at + 2
  end
  redis.call('PEXPIRE', key, ttl)
  return new and 1 or 0
end
local fresh = {}
for i = 1, #KEYS, 3 do
  write(KEYS[i], tonumber(ARGV[1]), ARGV[2])
  fresh[#fresh + 1] = write(KEYS[i + 1], tonumber(ARGV[3]), ARGV[4])
  if ARGV[at] ~= '' then redis.call('SET', KEYS[i + 2], ARGV[at], 'PX', ARGV[5]) end
  at = at + 1
end
return fresh
"""


class RecentBars:
    """The rings and days of all symbols, through one connection."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._record = Script(client, RECORD)
        seconds, minutes, day = (ttl // timedelta(milliseconds=1) for ttl in TTL.values())
        self._head = [SECONDS.size, seconds, MINUTES.size, minutes, day]

    def write(self, tracks: Sequence[SymbolBars]) -> list[SymbolBars]:
        """Writes what waits for Redis; returns the symbols whose minutes Redis had not. Raises StoreUnavailable."""
        fresh = []
        for at in range(0, len(tracks), AT_ONCE):
            some = tracks[at : at + AT_ONCE]
            keys: list[str] = []
            arguments: list[Any] = [*self._head]
            for track in some:
                keys += (SECONDS.key(track.symbol), MINUTES.key(track.symbol), day_key(track.symbol))
                arguments += _slots(SECONDS, track.seconds)
                arguments += _slots(MINUTES, track.minutes)
                arguments.append(_day(track) if track.days.bare else b"")
            new = self._record(keys, arguments)
            fresh += [track for track, is_new in zip(some, new, strict=True) if is_new]
        return fresh

    def restore(self, track: SymbolBars, bars: Sequence[Bar]) -> None:
        """Puts back minutes that Redis has lost, as far as the ring holds them. Raises StoreUnavailable."""
        if not bars:
            return
        lane = BarSeries(bars[-1].start)
        for bar in bars:
            lane.put(bar)
        lane.bare.update(lane.bars)
        self._record(
            [SECONDS.key(track.symbol), MINUTES.key(track.symbol), day_key(track.symbol)],
            [*self._head, 0, *_slots(MINUTES, lane), b""],
        )

    def newest_seconds(self, symbols: Collection[str]) -> Mapping[str, int]:
        """The newest second that is stored of each symbol, -1 for none. Raises StoreUnavailable."""
        with answering():
            values: Any = self._client.mget([day_key(symbol) for symbol in symbols])
        return {symbol: _second(value) for symbol, value in zip(symbols, values, strict=True)}

    def fetch_seconds(self, wanted: Wanted) -> None:
        """Puts stored seconds into their tracks, empty ones for those not stored. Raises StoreUnavailable."""
        pipe = self._client.pipeline(transaction=False)
        for track, starts in wanted:
            for start in starts:
                [(begin, end)] = SECONDS.ranges(start, start)
                pipe.getrange(SECONDS.key(track.symbol), begin, end)
        with answering():
            values = iter(pipe.execute() if wanted else [])
        for track, starts in wanted:
            for start in starts:
                track.seconds.put(_bar(start, next(values)))

    def close(self) -> None:
        self._client.close()


def _slots(ring: BarRing, lane: BarSeries) -> list[Any]:
    """How many slots, then offset and bytes of each. A bar that is a turn behind the newest has lost its place."""
    found: list[Any] = [0]
    length = ring.step * 1_000_000
    for start in lane.bare:
        if start <= lane.newest - ring.slots:
            continue
        bar, begin = lane.bars[start], start * length
        moments, numbers = (bar.first_at - begin, bar.last_at - begin), (bar.first_seq, bar.last_seq)
        found += (ring.offset(start), ring.pack(start, bar.figures, moments, numbers))
    found[0] = len(found) // 2
    return found


def _day(track: SymbolBars) -> bytes:
    bar = track.days.bars[track.days.newest]
    day = date.fromordinal(bar.start).isoformat()
    return msgspec.json.encode(Day(track.symbol, day, *bar.figures, track.previous_close, bar.last_at, bar.last_seq))


def _second(value: bytes | None) -> int:
    if value is None:
        return -1
    try:
        return decode_day(value).timestamp // 1_000_000
    except BadRecord:
        return -1  # somebody else's: the next write replaces it


def _bar(start: int, data: bytes) -> Bar:
    bar = Bar(start)
    for _, slot in SECONDS.read(data, start, start):
        begin = start * 1_000_000
        bar.open, bar.high, bar.low, bar.close, bar.count = slot.open, slot.high, slot.low, slot.close, slot.counted
        bar.first_at, bar.last_at = begin + slot.first_us, begin + slot.last_us
        bar.first_seq, bar.last_seq = slot.first_seq, slot.last_seq
        bar.seal()
    return bar
