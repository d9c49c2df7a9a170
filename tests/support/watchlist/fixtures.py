"""Fixtures for tests of pages, lists and accounts."""

from collections.abc import Callable, Iterator

import msgspec
import pytest
import redis
from django.contrib.auth.models import User

from feeds import bar_layout, wire
from feeds.models import Ticker
from stockwatch.local.redis_server import RedisServer
from watchlist.prices import quotes

VOLUME = 150_000_000
"""The volume of each minute and of the day: 1.5, in units of 1e-8."""


@pytest.fixture
def make_ticker(db) -> Callable[..., Ticker]:
    def make_ticker(symbol: str, **fields) -> Ticker:
        return Ticker.objects.create(**{"symbol": symbol, "name": f"{symbol} Inc.", "base_price": 100.0} | fields)

    return make_ticker


@pytest.fixture
def tickers(make_ticker) -> list[Ticker]:
    """Fifteen active tickers; the example list has the first twelve."""
    symbols = ["AAPL", "MSFT", "BRK.B", "^GSPC", "BTC/USD", "EURUSD=X", *(f"T{number}" for number in range(9))]
    return [make_ticker(symbol) for symbol in symbols]


@pytest.fixture
def person(db, settings) -> User:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the default is slow by design
    return User.objects.create_user("ada", password="a long and private phrase")


@pytest.fixture
def store(redis_server: RedisServer, redis_client: redis.Redis, settings) -> Iterator[redis.Redis]:
    """The empty Redis that the page reads."""
    settings.REDIS = settings.REDIS | {"host": redis_server.host, "port": redis_server.port}
    yield redis_client
    quotes.redis_client().close()


@pytest.fixture
def put_price(store: redis.Redis) -> Callable[..., None]:
    def put_price(symbol: str, price: float, timestamp: int = 1_766_480_000_000_000, seq_id: int = 1) -> None:
        store.set(wire.stock_key(symbol), wire.encode(wire.Update(symbol, price, timestamp, seq_id)))

    return put_price


@pytest.fixture
def put_hour(store: redis.Redis) -> Callable[..., None]:
    """Returns a function that writes a symbol's newest one-minute bars and its market day, as the recorder does."""

    def put_hour(symbol: str, closes: list[float], minute: int, close: float | None = 99.0) -> None:
        ring = bytearray(bar_layout.MINUTES.size)
        for age, price in enumerate(reversed(closes)):
            start = minute - age
            offset = bar_layout.MINUTES.offset(start)
            slot = bar_layout.MINUTES.pack(start, (price, price, price, price, 600), (0, 1), (1, 2), VOLUME)
            ring[offset : offset + len(slot)] = slot
        store.set(bar_layout.MINUTES.key(symbol), bytes(ring))
        day = bar_layout.NewestDay(
            symbol, "2026-11-22", closes[0], max(closes), min(closes), closes[-1], 600, close, 1, 1, VOLUME
        )
        store.set(bar_layout.day_key(symbol), msgspec.json.encode(day))

    return put_hour
