"""Simulates prices as random walks that return to a base price.

Pure: no I/O, and the clock is an argument. One step makes one update of every active instrument.
"""

from collections.abc import Iterable
from math import exp, log, sqrt
from random import Random

import msgspec

from feeds.stale import is_newer
from feeds.wire import Update

HALF_LIFE_SECONDS = 30 * 60.0
"""The time in which the log price returns half the way to its base."""

BASIS_POINT = 1e-4
VOLATILITY_INTERVAL_SECONDS = 0.1
"""The interval that an instrument's volatility refers to."""

MAX_LOG_PRICE = 690.0
"""The limit of a log price. It keeps `exp` finite, whatever the last price was."""


class Instrument(msgspec.Struct, frozen=True):
    """The parameters of the simulated price of one symbol.

    `volatility` is in basis points per 100 ms; `decimals` is the number of digits after the point. An instrument that
    is not `active` gets no updates. Its seq_ids continue when it is active again.
    """

    symbol: str
    base_price: float
    volatility: float = 1.0
    decimals: int = 2
    active: bool = True


class RandomWalk:
    """The simulated price of one instrument, with timestamp and seq_id.

    The log price is an Ornstein-Uhlenbeck process: a random walk that returns to the base price.
    """

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
        # Each symbol has its own random generator, so that its path depends on seed and symbol only.
        self._gauss = Random(f"{seed}:{instrument.symbol}").gauss  # noqa: S311
        self._interval = interval
        self._set_parameters(instrument)
        self._log_price, self._timestamp, self._seq_id = self._base, 0, 0
        if last is not None:
            self.resume(last)

    @property
    def instrument(self) -> Instrument:
        return self._instrument

    def resume(self, last: Update) -> None:
        """Continues after the update `last`, unless the walk has already made a newer one."""
        if last.timestamp > self._timestamp:
            self._timestamp = last.timestamp
            self._log_price = min(log(last.price), MAX_LOG_PRICE)
            self._advance()
        self._seq_id = max(self._seq_id, last.seq_id)

    def change(self, instrument: Instrument) -> None:
        """Sets new parameters. If the base price changes, the price changes by the same factor."""
        self._log_price += log(instrument.base_price / self._instrument.base_price)
        self._set_parameters(instrument)

    def step(self, now: int) -> Update:
        """Returns the next update. `now` is in unix microseconds; timestamps always grow."""
        price = max(round(exp(self._log_price), self._instrument.decimals), self._min_price)
        self._timestamp = max(now, self._timestamp + 1)
        # The first seq_id is the time in unix milliseconds. It is higher than any earlier seq_id, even after a purge of
        # the topic.
        self._seq_id = self._seq_id + 1 if self._seq_id else now // 1000
        self._advance()
        return Update(self._instrument.symbol, price, self._timestamp, self._seq_id)

    def _set_parameters(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._base = log(instrument.base_price)
        self._min_price = round(10.0**-instrument.decimals, instrument.decimals)
        # The exact transition over one interval. For short intervals the deviation is volatility times sqrt(interval).
        rate = log(2) / HALF_LIFE_SECONDS
        self._decay = exp(-rate * self._interval)
        per_root_second = instrument.volatility * BASIS_POINT / sqrt(VOLATILITY_INTERVAL_SECONDS)
        self._deviation = per_root_second * sqrt((1 - self._decay**2) / (2 * rate))

    def _advance(self) -> None:
        offset = (self._log_price - self._base) * self._decay
        self._log_price = min(self._base + offset + self._gauss(0.0, self._deviation), MAX_LOG_PRICE)


class PriceSimulator:
    """The random walks of all instruments.

    `interval` is the number of seconds between two steps. With the same `seed`, a symbol has the same path in each run.
    """

    def __init__(self, interval: float, seed: str) -> None:
        self._interval = interval
        self._seed = seed
        self._walks: dict[str, RandomWalk] = {}
        self._last_updates: dict[str, Update] = {}
        self._active: list[RandomWalk] = []

    def resume(self, last: Update) -> None:
        """Makes the symbol of `last` continue after this update, also if its walk has begun already.

        After several calls for one symbol, the newest update counts.
        """
        if is_newer(last, self._last_updates.get(last.symbol)):
            self._last_updates[last.symbol] = last
            if (walk := self._walks.get(last.symbol)) is not None:
                walk.resume(last)

    def set_instruments(self, instruments: Iterable[Instrument]) -> None:
        """Replaces the instruments. If one is missing for a while, its seq_ids continue afterwards."""
        self._active = [walk for walk in map(self._walk, instruments) if walk.instrument.active]

    @property
    def active_count(self) -> int:
        """The number of active instruments. One step makes as many updates."""
        return len(self._active)

    def step(self, now: int) -> list[Update]:
        """Returns one update of every active instrument. `now` is in unix microseconds."""
        return [walk.step(now) for walk in self._active]

    def _walk(self, instrument: Instrument) -> RandomWalk:
        walk = self._walks.get(instrument.symbol)
        if walk is None:
            last = self._last_updates.get(instrument.symbol)
            walk = self._walks[instrument.symbol] = RandomWalk(instrument, self._interval, self._seed, last)
        elif walk.instrument != instrument:
            walk.change(instrument)
        return walk
