"""The walk of the simulated prices, from a seed and a clock that the caller hands in.

Pure: imports no framework, reads no clock, does no I/O. One `step` makes one update of every active instrument.
"""

from collections.abc import Iterable
from math import exp, log, sqrt
from random import Random

import msgspec

from feeds.wire import Update

HALF_LIFE = 30 * 60.0
"""Seconds in which the log price goes half the way back to its base."""

BASIS_POINT = 1e-4
VOLATILITY_INTERVAL = 0.1
"""Seconds that an instrument's volatility is given for."""

LARGEST_LOG = 690.0
"""Largest log price: `exp` stays a finite number, whatever a foreign record on the topic says."""


class Instrument(msgspec.Struct, frozen=True):
    """What is fed: `volatility` in basis points per 100 ms, `decimals` the digits after the point.

    One that is not `active` gets no updates, but keeps its place: its numbers go on where they were.
    """

    symbol: str
    base_price: float
    volatility: float = 1.0
    decimals: int = 2
    active: bool = True


class RandomWalk:
    """The path of one instrument: a log price that reverts to its base (Ornstein-Uhlenbeck), its time and number."""

    __slots__ = ("_base", "_deviation", "_draw", "_instrument", "_interval", "_keep", "_last", "_log", "_seq", "_unit")

    def __init__(self, instrument: Instrument, interval: float, seed: str, last: Update | None) -> None:
        # A generator of its own for each symbol: its path depends on seed and symbol only, not on its neighbours.
        self._draw = Random(f"{seed}:{instrument.symbol}").gauss  # noqa: S311
        self._interval = interval
        self._adopt(instrument)
        self._log, self._last, self._seq = self._base, 0, 0
        if last is not None:
            self._log, self._last, self._seq = min(log(last.price), LARGEST_LOG), last.timestamp, last.seq_id
            self._advance()

    @property
    def instrument(self) -> Instrument:
        return self._instrument

    def change(self, instrument: Instrument) -> None:
        """Takes new figures; a new base price multiplies the price by new/old: its distance stays."""
        self._log += log(instrument.base_price / self._instrument.base_price)
        self._adopt(instrument)

    def step(self, now: int) -> Update:
        """The next update. `now` in unix microseconds; an update's time is at least one after the last one's."""
        price = max(round(exp(self._log), self._instrument.decimals), self._unit)
        self._last = max(now, self._last + 1)
        # A symbol never seen starts at unix milliseconds: above whatever number an earlier life of it had reached.
        self._seq = self._seq + 1 if self._seq else now // 1000
        self._advance()
        return Update(self._instrument.symbol, price, self._last, self._seq)

    def _adopt(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._base = log(instrument.base_price)
        self._unit = round(10.0**-instrument.decimals, instrument.decimals)
        # The exact law over one interval; for short ones the deviation is volatility times the root of the interval.
        rate = log(2) / HALF_LIFE
        self._keep = exp(-rate * self._interval)
        per_root_second = instrument.volatility * BASIS_POINT / sqrt(VOLATILITY_INTERVAL)
        self._deviation = per_root_second * sqrt((1 - self._keep**2) / (2 * rate))

    def _advance(self) -> None:
        self._log = min(
            self._base + (self._log - self._base) * self._keep + self._draw(0.0, self._deviation), LARGEST_LOG
        )


class PriceSimulator:
    """All walks. `interval` in seconds; the same `seed` gives each symbol the same path."""

    def __init__(self, interval: float, seed: str) -> None:
        self._interval = interval
        self._seed = seed
        self._walks: dict[str, RandomWalk] = {}
        self._resumed: dict[str, Update] = {}
        self._active: list[RandomWalk] = []

    def resume(self, last: Update) -> None:
        """Has a symbol continue from its last update on the topic; of several the newest counts."""
        known = self._resumed.get(last.symbol)
        if known is None or last.order > known.order:
            self._resumed[last.symbol] = last

    def follow(self, instruments: Iterable[Instrument]) -> None:
        """Takes over what there is now. One that left or was inactive and comes back continues its numbers."""
        self._active = [walk for walk in map(self._walk, instruments) if walk.instrument.active]

    @property
    def active(self) -> int:
        """How many updates a step makes."""
        return len(self._active)

    def step(self, now: int) -> list[Update]:
        """One update of every active instrument; `now` in unix microseconds."""
        return [walk.step(now) for walk in self._active]

    def _walk(self, instrument: Instrument) -> RandomWalk:
        walk = self._walks.get(instrument.symbol)
        if walk is None:
            last = self._resumed.get(instrument.symbol)
            walk = self._walks[instrument.symbol] = RandomWalk(instrument, self._interval, self._seed, last)
        elif walk.instrument != instrument:
            walk.change(instrument)
        return walk
