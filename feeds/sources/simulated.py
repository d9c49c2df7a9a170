"""Simulates prices as mean-reverting random walks.

Pure: no I/O, and the clock is an argument. One step makes one update of every active instrument.
"""

from collections.abc import Iterable
from math import exp, log, sqrt
from random import Random

import msgspec

from feeds.stale import is_newer
from feeds.wire import Update

HALF_LIFE_SECONDS = 30 * 60.0
"""Time in which the log price returns half the way to its base."""

BASIS_POINT = 1e-4
VOLATILITY_INTERVAL_SECONDS = 0.1
"""The interval that an instrument's volatility refers to."""

MAX_LOG_PRICE = 690.0
"""Keeps `exp` finite, whatever price the last update on the topic has."""


class Instrument(msgspec.Struct, frozen=True):
    """The parameters of a walk: `volatility` in basis points per 100 ms, `decimals` of the price.

    An instrument that is not `active` gets no updates. Its seq_ids continue when it is active again.
    """

    symbol: str
    base_price: float
    volatility: float = 1.0
    decimals: int = 2
    active: bool = True


class RandomWalk:
    """The walk of one instrument: an Ornstein-Uhlenbeck process of its log price, with timestamp and seq_id."""

    __slots__ = (
        "_base",
        "_decay",
        "_deviation",
        "_gauss",
        "_instrument",
        "_interval",
        "_log_price",
        "_min_price",
        "_seq_id",
        "_timestamp",
    )

    def __init__(self, instrument: Instrument, interval: float, seed: str, last: Update | None) -> None:
        # Each symbol has its own generator, so that its path depends on seed and symbol only.
        self._gauss = Random(f"{seed}:{instrument.symbol}").gauss  # noqa: S311
        self._interval = interval
        self._set_parameters(instrument)
        self._log_price, self._timestamp, self._seq_id = self._base, 0, 0
        if last is not None:
            self._log_price = min(log(last.price), MAX_LOG_PRICE)
            self._timestamp, self._seq_id = last.timestamp, last.seq_id
            self._advance()

    @property
    def instrument(self) -> Instrument:
        return self._instrument

    def change(self, instrument: Instrument) -> None:
        """Sets new parameters. A new base price multiplies the price by new/old."""
        self._log_price += log(instrument.base_price / self._instrument.base_price)
        self._set_parameters(instrument)

    def step(self, now: int) -> Update:
        """Returns the next update. `now` in unix microseconds; timestamps always grow."""
        price = max(round(exp(self._log_price), self._instrument.decimals), self._min_price)
        self._timestamp = max(now, self._timestamp + 1)
        # A new symbol starts at unix milliseconds: above any seq_id that it may have had before the topic was purged.
        self._seq_id = self._seq_id + 1 if self._seq_id else now // 1000
        self._advance()
        return Update(self._instrument.symbol, price, self._timestamp, self._seq_id)

    def _set_parameters(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._base = log(instrument.base_price)
        self._min_price = round(10.0**-instrument.decimals, instrument.decimals)
        # The exact transition over one interval. For short ones the deviation is volatility times sqrt(interval).
        rate = log(2) / HALF_LIFE_SECONDS
        self._decay = exp(-rate * self._interval)
        per_root_second = instrument.volatility * BASIS_POINT / sqrt(VOLATILITY_INTERVAL_SECONDS)
        self._deviation = per_root_second * sqrt((1 - self._decay**2) / (2 * rate))

    def _advance(self) -> None:
        offset = (self._log_price - self._base) * self._decay
        self._log_price = min(self._base + offset + self._gauss(0.0, self._deviation), MAX_LOG_PRICE)


class PriceSimulator:
    """The walks of all instruments. `interval` in seconds; the same `seed` gives each symbol the same path."""

    def __init__(self, interval: float, seed: str) -> None:
        self._interval = interval
        self._seed = seed
        self._walks: dict[str, RandomWalk] = {}
        self._last_updates: dict[str, Update] = {}
        self._active: list[RandomWalk] = []

    def resume(self, last: Update) -> None:
        """Makes a symbol continue after its last update. The newest of several counts."""
        if is_newer(last, self._last_updates.get(last.symbol)):
            self._last_updates[last.symbol] = last

    def set_instruments(self, instruments: Iterable[Instrument]) -> None:
        """Replaces the instruments. An instrument that returns continues its seq_ids."""
        self._active = [walk for walk in map(self._walk, instruments) if walk.instrument.active]

    @property
    def active(self) -> int:
        """The number of updates that a step makes."""
        return len(self._active)

    def step(self, now: int) -> list[Update]:
        """Returns one update of every active instrument. `now` in unix microseconds."""
        return [walk.step(now) for walk in self._active]

    def _walk(self, instrument: Instrument) -> RandomWalk:
        walk = self._walks.get(instrument.symbol)
        if walk is None:
            last = self._last_updates.get(instrument.symbol)
            walk = self._walks[instrument.symbol] = RandomWalk(instrument, self._interval, self._seed, last)
        elif walk.instrument != instrument:
            walk.change(instrument)
        return walk
