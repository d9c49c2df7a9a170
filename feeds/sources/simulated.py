"""Simulates trades with prices that move randomly around a base price.

Pure: no I/O, and the clock is an argument. One step makes one update of every active instrument.
"""

from collections.abc import Iterable
from math import exp, log, sqrt
from random import Random

import msgspec

from feeds.stale import is_newer
from feeds.wire import Update

HALF_LIFE_SECONDS = 30 * 60.0
"""The time in which the logarithm of a price returns half the way to the logarithm of the base price."""

BASIS_POINT = 1e-4
VOLATILITY_INTERVAL_SECONDS = 0.1
"""The volatility of an instrument is its typical price movement in this time."""

MAX_LOG_PRICE = 690.0
"""The greatest logarithm of a price. With this limit, `exp` stays finite."""

SPREAD = BASIS_POINT
"""The difference between ask and bid, as a fraction of the base price.

The difference is at least one unit of the last decimal.
"""

MEAN_AMOUNT = 5_000.0
"""The mean amount of a trade: price times size."""

MIN_FRACTIONAL_PRICE = 1_000.0
"""Instruments with at least this base price have fractional sizes. Other instruments have whole sizes."""

FRACTION_DECIMALS = 4


class Instrument(msgspec.Struct, frozen=True):
    """The parameters of the simulated price of one symbol.

    `volatility` is in basis points per 100 ms. `decimals` is the number of digits after the point. An instrument that
    is not `active` gets no updates.
    """

    symbol: str
    base_price: float
    volatility: float = 1.0
    decimals: int = 2
    active: bool = True


def min_price(decimals: int) -> float:
    """Returns the lowest price with this number of digits after the point."""
    return round(10.0**-decimals, decimals)


def size_decimals(base_price: float) -> int:
    """Returns how many digits after the point the sizes of trades have."""
    return FRACTION_DECIMALS if base_price >= MIN_FRACTIONAL_PRICE else 0


def fast_walk(volatility: float, seconds: float) -> tuple[float, float]:
    """Returns how the logarithm of a price moves in `seconds` seconds: a factor and a standard deviation.

    First, the distance of the logarithm from its mean is multiplied by the factor. Then a random number with the
    standard deviation is added.
    """
    rate = log(2) / HALF_LIFE_SECONDS
    decay = exp(-rate * seconds)
    per_root_second = volatility * BASIS_POINT / sqrt(VOLATILITY_INTERVAL_SECONDS)
    return decay, per_root_second * sqrt((1 - decay**2) / (2 * rate))


class RandomWalk:
    """The simulated price of one instrument, with timestamp and seq_id.

    The logarithm of the price is an Ornstein-Uhlenbeck process: a random walk that returns to the base price.
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
        "_random",
        "_seq_id",
        "_size_decimals",
        "_spread",
        "_timestamp",
    )

    def __init__(self, instrument: Instrument, interval: float, seed: str, last: Update | None) -> None:
        # Each symbol has its own random generator, so that its path depends on seed and symbol only.
        self._gauss = Random(f"{seed}:{instrument.symbol}").gauss  # noqa: S311
        # Sizes come from another generator, so that the path of the price does not depend on them.
        self._random = Random(f"{seed}:{instrument.symbol}:sizes").random  # noqa: S311
        self._interval = interval
        self._set_parameters(instrument)
        self._log_price, self._timestamp, self._seq_id = self._base, 0, 0
        if last is not None:
            self.resume(last)

    @property
    def instrument(self) -> Instrument:
        return self._instrument

    def resume(self, last: Update) -> None:
        """Continues after the update `last`. Ignores the price of `last` if the walk has made a newer update."""
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
        """Returns the next update. Its timestamp is greater than the last timestamp. `now` is in unix microseconds."""
        price = max(round(exp(self._log_price), self._instrument.decimals), self._min_price)
        self._timestamp = max(now, self._timestamp + 1)
        # The first seq_id is the time in unix milliseconds. It is higher than any earlier seq_id, even after a purge of
        # the topic.
        self._seq_id = self._seq_id + 1 if self._seq_id else now // 1000
        self._advance()
        bid, ask = self._best_prices(price)
        return Update(self._instrument.symbol, price, self._timestamp, self._seq_id, self._size(price), bid, ask)

    def _best_prices(self, price: float) -> tuple[float, float]:
        """Returns bid and ask for a trade at `price`. One of the two equals `price`."""
        if price > self._spread and self._random() < 0.5:
            return round(price - self._spread, self._instrument.decimals), price
        return price, round(price + self._spread, self._instrument.decimals)

    def _size(self, price: float) -> float:
        """Returns a random size. Small sizes are more frequent than large ones."""
        size = -log(1.0 - self._random()) * MEAN_AMOUNT / price
        return max(round(size, self._size_decimals), 10.0**-self._size_decimals)

    def _set_parameters(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._base = log(instrument.base_price)
        self._min_price = min_price(instrument.decimals)
        self._spread = max(round(instrument.base_price * SPREAD, instrument.decimals), self._min_price)
        self._size_decimals = size_decimals(instrument.base_price)
        self._decay, self._deviation = fast_walk(instrument.volatility, self._interval)

    def _advance(self) -> None:
        offset = (self._log_price - self._base) * self._decay
        self._log_price = min(self._base + offset + self._gauss(0.0, self._deviation), MAX_LOG_PRICE)


class PriceSimulator:
    """The random walks of all instruments.

    `interval` is the number of seconds between two steps. The same `seed` gives the same random numbers in each run.
    """

    def __init__(self, interval: float, seed: str) -> None:
        self._interval = interval
        self._seed = seed
        self._walks: dict[str, RandomWalk] = {}
        self._last_updates: dict[str, Update] = {}
        self._active: list[RandomWalk] = []

    def resume(self, last: Update) -> None:
        """Continues the simulated price of a symbol after the update `last`.

        Ignores `last` if a newer update of the symbol is known already.
        """
        if is_newer(last, self._last_updates.get(last.symbol)):
            self._last_updates[last.symbol] = last
            if (walk := self._walks.get(last.symbol)) is not None:
                walk.resume(last)

    def set_instruments(self, instruments: Iterable[Instrument]) -> None:
        """Replaces the instruments. An instrument that comes back later continues its seq_ids."""
        self._active = [walk for walk in map(self._walk, instruments) if walk.instrument.active]

    @property
    def active_count(self) -> int:
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
