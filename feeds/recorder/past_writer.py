"""Writes simulated bars for the time before the first recorded price of a symbol.

The work is divided into steps. The recorder reads Kafka between two steps.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from feeds import metrics
from feeds.bar_layout import MINUTES
from feeds.history.past_bars import complete_past, save_days, save_minutes
from feeds.history.transactions import translate_errors
from feeds.models import MinuteBar, Origin, Ticker
from feeds.recorder.past import Past, PreviousDay
from feeds.recorder.symbol_bars import MINUTE_US, SymbolBars
from feeds.source_names import SIMULATED
from feeds.sources.simulated import Instrument
from feeds.sources.simulated_past import SimulatedPast

SYMBOLS_PER_STEP = 5
"""One step writes the minute bars of 24 hours for at most this many symbols, in about 0.1 s."""

RESTS_PER_STEP = 2
"""One later step writes all other simulated bars for at most this many symbols, in about 0.2 s."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """The parameters of simulated bars. `interval` is the number of seconds between two simulated updates."""

    interval: float
    seed: str


class PastWriter:
    """Writes bars for the time before the first recorded price of each simulated symbol.

    Each symbol first gets the minute bars of the 24 hours before that price. After that, each symbol gets the other
    minute bars of a week, and the day bars of a year. A repeated step writes the same bars.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._without_minutes: list[SymbolBars] = []
        self._without_rest: list[SymbolBars] = []

    def add(self, symbols: Iterable[SymbolBars]) -> None:
        """Remembers which of these symbols are simulated and lack bars before their first recorded price."""
        self._without_minutes += [
            symbol_bars
            for symbol_bars in symbols
            if symbol_bars.source == SIMULATED and not symbol_bars.past.is_complete
        ]

    @property
    def has_work(self) -> bool:
        return bool(self._without_minutes or self._without_rest)

    def step(self) -> list[SymbolBars]:
        """Writes a part of the missing bars to the database.

        Returns the symbols that got the minute bars of the 24 hours before their first recorded price.
        Raises BarArchiveUnavailable. The next call then repeats the step.
        """
        if self._without_minutes:
            return self._write_minutes()
        for symbol_bars in self._without_rest[:RESTS_PER_STEP]:
            self._write_rest(symbol_bars)
        del self._without_rest[:RESTS_PER_STEP]
        return []

    def _write_minutes(self) -> list[SymbolBars]:
        batch = self._without_minutes[:SYMBOLS_PER_STEP]
        written = []
        for symbol_bars in batch:
            if (past := self._make_past(symbol_bars)) is not None:
                save_minutes(symbol_bars.tape_id, past.minutes(MINUTES.slots), Origin.SIMULATED_PAST)
                written.append(symbol_bars)
        del self._without_minutes[: len(batch)]
        self._without_rest += written
        return written

    def _write_rest(self, symbol_bars: SymbolBars) -> None:
        if (past := self._make_past(symbol_bars)) is None:
            return
        bars = past.bars(symbol_bars.market_days.day_at)
        save_minutes(symbol_bars.tape_id, bars.minutes[: -MINUTES.slots], Origin.SIMULATED_PAST)
        save_days(symbol_bars.tape_id, bars.days, Origin.SIMULATED_PAST)
        complete_past(symbol_bars.tape_id)
        metrics.PAST_BARS.inc()
        newest_days = [PreviousDay(day, bar.close) for day, bar in list(bars.days.items())[-2:]]
        symbol_bars.change_past(Past(True, symbol_bars.past.version + 1, newest_days))

    def _make_past(self, symbol_bars: SymbolBars) -> SimulatedPast | None:
        """Returns a SimulatedPast, which makes the bars before a symbol's first recorded price.

        Returns None if the ticker is not simulated any more, or if no price of the symbol is recorded.
        """
        with translate_errors():
            instrument = _read_instrument(symbol_bars.symbol)
            first = _find_first_minute(symbol_bars)
        if instrument is None or first is None:
            return None
        minute, price = first
        return SimulatedPast(instrument, self._simulation.interval, self._simulation.seed, minute * MINUTE_US, price)


def _read_instrument(symbol: str) -> Instrument | None:
    rows = Ticker.objects.filter(symbol=symbol, source=SIMULATED)
    row = rows.values_list("symbol", "base_price", "volatility", "decimals").first()
    return None if row is None else Instrument(*row)


def _find_first_minute(symbol_bars: SymbolBars) -> tuple[int, float] | None:
    """Returns the first recorded minute of a symbol, counted from 1970, and its opening price.

    Returns None if no minute of the symbol is recorded.
    """
    base, end = MinuteBar.key(symbol_bars.tape_id, 0), MinuteBar.key(symbol_bars.tape_id + 1, 0)
    rows = MinuteBar.objects.filter(id__gte=base, id__lt=end, origin=Origin.RECORDED).order_by("id")
    known = [(key - base, price) for key, price in rows.values_list("id", "open")[:1]]
    known += [(bar.start, bar.open) for bar in symbol_bars.minutes.bars.values() if bar.count]
    return min(known, default=None)
