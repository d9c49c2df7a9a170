"""Writes one-second bars, one-minute bars and a market day of each symbol to Redis, as the recorder does.

The prices are the same in each run.
"""

import random
import time

import msgspec
import redis

from feeds import bar_layout

BASES = {"AAPL": 224.10, "MSFT": 419.66, "NVDA": 138.07, "GOOG": 177.35, "AMZN": 198.38, "TSLA": 346.0}
BASES |= {"BRK.B": 467.1, "BTC/USD": 97101.0, "EURUSD=X": 1.0473, "^GSPC": 5917.11, "GLD": 244.9, "XOM": 120.31}

VOLUME = 123_456_789_000_000
"""The volume of each symbol's day: 1,234,567.89."""

PRICES = {
    "AAPL": 226.84,
    "MSFT": 417.32,
    "NVDA": 141.95,
    "GOOG": 177.33,
    "AMZN": 202.88,
    "TSLA": 338.74,
    "BRK.B": 468.01,
    "BTC/USD": 98234.5,
    "EURUSD=X": 1.04182,
    "^GSPC": 5948.71,
    "GLD": 246.57,
    "XOM": 121.79,
}
"""The newest price of each symbol of the example list, in tests and in the stored pictures of the page."""


def put_bars(client: redis.Redis, prices: dict[str, float]) -> None:
    """Writes bars of each symbol. The last bar closes at the symbol's price in `prices`."""
    now = int(time.time())
    for seed, (symbol, price) in enumerate(prices.items()):
        rng = random.Random(seed)
        minutes = _walk(rng, BASES.get(symbol, price), price, 1400, 0.0005)
        seconds = _walk(rng, price * 0.9995, price, 300, 0.0001)
        for ring, walk in ((bar_layout.MINUTES, minutes), (bar_layout.SECONDS, seconds)):
            client.set(ring.key(symbol), _ring_bytes(ring, walk, now // ring.bar_seconds))
        close = BASES.get(symbol, price)
        prices_of_day = (minutes[0], max(minutes), min(minutes), price)
        day = bar_layout.NewestDay(symbol, "2026-11-22", *prices_of_day, 9, close, 1, 1, volume=VOLUME)
        client.set(bar_layout.day_key(symbol), msgspec.json.encode(day))


def _walk(rng: random.Random, start: float, end: float, steps: int, spread: float) -> list[float]:
    """Returns a random walk from `start` to `end`."""
    walk = [start]
    for _ in range(steps - 2):
        walk.append(walk[-1] * (1 + rng.gauss(0, spread)) + (end - walk[-1]) * 0.01)
    # Distributes the rest over all steps, so that the last step is no jump.
    rest = (end - walk[-1]) / (steps - 1)
    return [*(price + rest * step for step, price in enumerate(walk)), end]


def _ring_bytes(ring: bar_layout.BarRing, walk: list[float], newest: int) -> bytes:
    data = bytearray(ring.size)
    for index, close in enumerate(walk):
        open_ = walk[max(0, index - 1)]
        start = newest - len(walk) + 1 + index
        prices = (open_, max(open_, close) * 1.0001, min(open_, close) * 0.9999, close, 600)
        slot = ring.pack(start, prices, (0, 1), (1, 2), (index % 7 + 1) * 10**9)
        offset = ring.offset(start)
        data[offset : offset + len(slot)] = slot
    return bytes(data)
