"""Writes recent bars to Redis and reads them back.

The recent bars of a symbol are the bar of its newest day, its last one-second bars and its last minute bars. A symbol
has one ring of seconds and one ring of minutes. A ring is a Redis string in which a new bar replaces the oldest bar.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import redis

from feeds.bar_layout import MINUTES, SECONDS, BarRing, NewestDay, day_key, decode_day
from feeds.errors import BadRecord
from feeds.recorder.bars import Bar
from feeds.recorder.open_bars import BarStarts
from feeds.recorder.symbol_bars import SECOND_US, BarSeries, SymbolBars
from feeds.store.connection import Script, answering
from feeds.store.keys import is_cluster, raise_first_error, read_many, symbol_prefix

# During a call, Redis serves no other client.
SYMBOLS_PER_CALL = 100
"""The greatest number of symbols whose bars one call of `write_bars.lua` writes.

A call takes about 15 us for each symbol.
"""

SECONDS_TTL = timedelta(minutes=15)
MINUTES_TTL = timedelta(hours=25)
DAY_TTL = timedelta(hours=168)
"""The TTL of a symbol's newest day. The default TTL of a quote is the same."""

WRITE_BARS = Path(__file__).with_name("write_bars.lua").read_text()


class RecentBars:
    """The rings and the newest days of all symbols in Redis. Uses one connection."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._prefix = symbol_prefix(client)
        self._created: list[SymbolBars] = []
        """Symbols that had no ring of minutes in Redis. The next `write` that succeeds returns these symbols."""
        self._write_bars = Script(client, WRITE_BARS)
        seconds_ttl, minutes_ttl, day_ttl = (
            ttl // timedelta(milliseconds=1) for ttl in (SECONDS_TTL, MINUTES_TTL, DAY_TTL)
        )
        self._sizes_and_ttls = [SECONDS.size, seconds_ttl, MINUTES.size, minutes_ttl, day_ttl]

    def write(self, symbols: Sequence[SymbolBars]) -> list[SymbolBars]:
        """Writes the unwritten bars of these symbols. Returns the symbols that had no ring of minutes in Redis.

        Raises StoreUnavailable.
        """
        batches = list(self._split(symbols))
        replies = self._write_bars.call_each(map(self._make_call, batches))
        for batch, flags in zip(batches, replies, strict=True):
            if not isinstance(flags, redis.RedisError):
                self._created += [symbol_bars for symbol_bars, is_new in zip(batch, flags, strict=True) if is_new]
        with answering():
            raise_first_error(replies)
        created, self._created = self._created, []
        return created

    def _make_call(self, batch: Sequence[SymbolBars]) -> tuple[list[str], list[Any]]:
        """Returns the keys and the arguments for one call of `write_bars.lua`."""
        keys: list[str] = []
        arguments: list[Any] = [*self._sizes_and_ttls]
        for symbol_bars in batch:
            keys += self._keys(symbol_bars.symbol)
            arguments += _slots(SECONDS, symbol_bars.seconds)
            arguments += _slots(MINUTES, symbol_bars.minutes)
            arguments.append(_encode_day(symbol_bars) if symbol_bars.days.unwritten else b"")
        return keys, arguments

    def restore_minutes(self, symbol_bars: SymbolBars, bars: Sequence[Bar]) -> None:
        """Writes minute bars that Redis has lost. `bars` are sorted, oldest first.

        Skips bars that are too old for the ring. Raises StoreUnavailable.
        """
        if not bars:
            return
        series = BarSeries(bars[-1].start)
        for bar in bars:
            series.put(bar)
        series.unwritten.update(series.bars)
        no_seconds, no_day = 0, b""
        arguments = [*self._sizes_and_ttls, no_seconds, *_slots(MINUTES, series), no_day]
        self._write_bars([*self._keys(symbol_bars.symbol)], arguments)

    def newest_seconds(self, sources: Mapping[str, str]) -> Mapping[str, int]:
        """Returns the second of each symbol's newest update in Redis, counted from 1970; -1 if Redis has no bars.

        `sources` is a dict from symbol to source. Bars from another source are deleted. Raises StoreUnavailable.
        """
        with answering():
            values = read_many(self._client, [self._prefix(symbol) + day_key(symbol) for symbol in sources])
            raise_first_error(values)
        days = {symbol: _decode_day(value) for symbol, value in zip(sources, values, strict=True)}
        self.forget([symbol for symbol, day in days.items() if day is not None and day.source != sources[symbol]])
        return {
            symbol: -1 if day is None or day.source != sources[symbol] else day.timestamp // SECOND_US
            for symbol, day in days.items()
        }

    def forget(self, symbols: Collection[str]) -> None:
        """Deletes the recent bars of these symbols. Raises StoreUnavailable."""
        if symbols:
            with answering():
                pipe = self._client.pipeline(transaction=False)
                for symbol in symbols:
                    pipe.delete(*self._keys(symbol))
                pipe.execute()

    def fetch_seconds(self, wanted: BarStarts) -> None:
        """Reads one-second bars from Redis into memory.

        `wanted` lists the seconds of each symbol. A bar that Redis does not have becomes an empty bar. Raises
        StoreUnavailable.
        """
        pipe = self._client.pipeline(transaction=False)
        for symbol_bars, starts in wanted:
            for start in starts:
                [(begin, end)] = SECONDS.byte_ranges(start, start)
                pipe.getrange(self._prefix(symbol_bars.symbol) + SECONDS.key(symbol_bars.symbol), begin, end)
        with answering():
            values = iter(pipe.execute() if wanted else [])
        for symbol_bars, starts in wanted:
            for start in starts:
                symbol_bars.seconds.put(_decode_second(start, next(values)))

    def close(self) -> None:
        self._client.close()

    def _keys(self, symbol: str) -> tuple[str, str, str]:
        prefix = self._prefix(symbol)
        return prefix + SECONDS.key(symbol), prefix + MINUTES.key(symbol), prefix + day_key(symbol)

    def _split(self, symbols: Sequence[SymbolBars]) -> Iterator[Sequence[SymbolBars]]:
        """Divides symbols into groups. One call of `write_bars.lua` writes the bars of one group."""
        groups = [symbols]
        # In a cluster, all keys of a call must have the same slot.
        if is_cluster(self._client):
            by_prefix: dict[str, list[SymbolBars]] = {}
            for symbol_bars in symbols:
                by_prefix.setdefault(self._prefix(symbol_bars.symbol), []).append(symbol_bars)
            groups = list(by_prefix.values())
        for group in groups:
            for at in range(0, len(group), SYMBOLS_PER_CALL):
                yield group[at : at + SYMBOLS_PER_CALL]


def _slots(ring: BarRing, series: BarSeries) -> list[Any]:
    """Returns the arguments of `write_bars.lua` for the unwritten bars of one ring.

    The first argument is the number of bars. Two arguments follow for each bar: its offset in the ring and its bytes.
    """
    arguments: list[Any] = [0]
    length = ring.bar_seconds * SECOND_US
    for start in series.unwritten:
        # A newer bar has the place of this bar in the ring.
        if start <= series.newest - ring.slots:
            continue
        bar, begin = series.bars[start], start * length
        within_us, seq_ids = (bar.first_at - begin, bar.last_at - begin), (bar.first_seq, bar.last_seq)
        arguments += (ring.offset(start), ring.pack(start, bar.ohlc_count, within_us, seq_ids, bar.volume))
    arguments[0] = len(arguments) // 2
    return arguments


def _encode_day(symbol_bars: SymbolBars) -> bytes:
    bar = symbol_bars.days.bars[symbol_bars.days.newest]
    day = date.fromordinal(bar.start).isoformat()
    order = bar.last_at, bar.last_seq
    prices = *bar.ohlc_count, symbol_bars.previous_close
    value = NewestDay(symbol_bars.symbol, day, *prices, *order, bar.volume, symbol_bars.source)
    return msgspec.json.encode(value)


def _decode_day(day: bytes | None) -> NewestDay | None:
    if day is None:
        return None
    try:
        return decode_day(day)
    except BadRecord:
        return None  # another program wrote this value; the next write replaces the value


def _decode_second(start: int, data: bytes) -> Bar:
    bar = Bar(start)
    for _, slot in SECONDS.unpack(data, start, start):
        begin = start * SECOND_US
        bar.open, bar.high, bar.low, bar.close, bar.count = (
            slot.open,
            slot.high,
            slot.low,
            slot.close,
            slot.update_count,
        )
        bar.first_at, bar.last_at = begin + slot.first_us, begin + slot.last_us
        bar.first_seq, bar.last_seq = slot.first_seq, slot.last_seq
        bar.volume = slot.volume
        bar.mark_range_counted()
    return bar
