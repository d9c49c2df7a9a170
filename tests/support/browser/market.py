"""Bars in Redis as the recorder writes them: minutes, seconds, a day. Always the same walk."""

import random
import time

import msgspec
import redis

from feeds import bar_layout

BASES = {"AAPL": 224.10, "MSFT": 419.66, "NVDA": 138.07, "GOOG": 177.35, "AMZN": 198.38, "TSLA": 346.0}
BASES |= {"BRK.B": 467.1, "BTC/USD": 97101.0, "EURUSD=X": 1.0473, "^GSPC": 5917.11, "GLD": 244.9, "XOM": 120.31}

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
"""Where they stand in pictures: the symbols of the example list."""


def put_bars(client: redis.Redis, prices: dict[str, float]) -> None:
    """Bars of each symbol that end at its price."""
    now = int(time.time())
    for number, (symbol, price) in enumerate(prices.items()):
        chance = random.Random(number)
        minutes = _walk(chance, BASES.get(symbol, price), price, 1400, 0.0005)
        seconds = _walk(chance, price * 0.9995, price, 300, 0.0001)
        for ring, walk in ((bar_layout.MINUTES, minutes), (bar_layout.SECONDS, seconds)):
            client.set(ring.key(symbol), _fill(ring, walk, now // ring.bar_seconds))
        close = BASES.get(symbol, price)
        day = bar_layout.NewestDay(symbol, "2026-11-22", minutes[0], max(minutes), min(minutes), price, 9, close, 1, 1)
        client.set(bar_layout.day_key(symbol), msgspec.json.encode(day))


def _walk(chance: random.Random, start: float, end: float, steps: int, spread: float) -> list[float]:
    """A walk that bends towards its end and arrives there."""
    walk = [start]
    for _ in range(steps - 2):
        walk.append(walk[-1] * (1 + chance.gauss(0, spread)) + (end - walk[-1]) * 0.01)
    # Bent, so that it arrives without a leap.
    lack = (end - walk[-1]) / (steps - 1)
    return [*(price + lack * place for place, price in enumerate(walk)), end]


def _fill(ring: bar_layout.BarRing, walk: list[float], newest: int) -> bytes:
    data = bytearray(ring.size)
    for place, close in enumerate(walk):
        open_ = walk[max(0, place - 1)]
        start = newest - len(walk) + 1 + place
        figures = (open_, max(open_, close) * 1.0001, min(open_, close) * 0.9999, close, 600)
        slot = ring.pack(start, figures, (0, 1), (1, 2))
        at = ring.offset(start)
        data[at : at + len(slot)] = slot
    return bytes(data)
