"""Makes the walk: random prices of many symbols, in the order in which they arrive. Times are in unix microseconds."""

from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import NamedTuple

SECOND_US = 1_000_000
MIDNIGHT_US = int(datetime(2026, 3, 12, tzinfo=UTC).timestamp()) * SECOND_US
"""The middle of the walk. A market day of Kraken begins here."""

CALENDARS = {"simulated": ("20:10", "America/New_York"), "kraken": ("00:00", "UTC")}
"""When and in which time zone the market days of each source begin.

A market day of the simulated source begins at 00:10 in UTC, which a walk of an hour contains.
"""

SOURCES = tuple(CALENDARS)
STEP = 0.0003
"""The standard deviation of a change of price, relative to the price."""
LAST_SEQ_ID = 10**9


class Arrival(NamedTuple):
    """One record of the topic: an update, its source, and when it is written to the topic."""

    at: int
    symbol: str
    price: float
    timestamp: int
    seq_id: int
    source: str


def symbol_source(number: int) -> str:
    """Returns the source of a symbol: every second symbol is real."""
    return SOURCES[number % len(SOURCES)]


def begin_us(seconds: float) -> int:
    """Returns when a walk begins that lasts this long."""
    return MIDNIGHT_US - int(seconds * SECOND_US) // 2


def make_walk(symbols: list[str], seconds: float, seed: int) -> list[Arrival]:
    """Returns the records of all symbols in the order of the topic.

    Each symbol has about one update per second. There are jumps, equal prices, equal times, late updates, repeated
    records, and minutes without a price. The last record of each symbol is newer than all others of the symbol.
    """
    records: list[Arrival] = []
    for number, symbol in enumerate(symbols):
        records += _walk_of(symbol, symbol_source(number), seconds, Random(f"{seed} {symbol}"))
    return sorted(records, key=lambda record: record.at)


def make_quiet_walk(symbols: list[str], seconds: float, seed: int, slack: float) -> list[Arrival]:
    """Returns the records of simulated symbols that fall silent and return at random, in the order of the topic.

    A silence lasts up to ten minutes. It is never up to `slack` seconds shorter than a whole number of minutes: such a
    silence may fire an alert or not.
    """
    records: list[Arrival] = []
    for symbol in symbols:
        records += _quiet_walk_of(symbol, seconds, slack, Random(f"{seed} {symbol}"))
    return sorted(records, key=lambda record: record.at)


def _quiet_walk_of(symbol: str, seconds: float, slack: float, rng: Random) -> Iterator[Arrival]:
    begin = begin_us(seconds)
    end = begin + int(seconds * SECOND_US)
    record = Arrival(begin, symbol, round(rng.uniform(20, 500), 2), begin, 2, "simulated")
    while record.at < end:
        yield record
        for _ in range(rng.randrange(30)):
            record = _next_record(record, int(rng.expovariate(1) * SECOND_US), rng)
            yield record
            if rng.random() < 0.05:
                yield record  # repeated
        silence = int(rng.randrange(10) * 60 * SECOND_US + rng.uniform(0, 60 - slack) * SECOND_US)
        # A late or repeated record ends no silence.
        at = min(record.at + rng.randrange(silence + 1), end)
        yield rng.choice([record, record._replace(timestamp=record.timestamp - 1, seq_id=1)])._replace(at=at)
        record = _next_record(record, silence, rng)
    yield Arrival(end + 60 * SECOND_US, symbol, record.price, end + 60 * SECOND_US, LAST_SEQ_ID, "simulated")


def _next_record(record: Arrival, later: int, rng: Random) -> Arrival:
    at = record.at + later
    return record._replace(at=at, timestamp=at, seq_id=record.seq_id + 1, price=_next_price(record.price, rng))


def _walk_of(symbol: str, source: str, seconds: float, rng: Random) -> Iterator[Arrival]:
    begin = begin_us(seconds)
    end = begin + int(seconds * SECOND_US)
    price = round(rng.uniform(20, 500), 2)
    at, seq_id = begin, 1
    quiet_at = begin + int(rng.expovariate(1 / 900) * SECOND_US)
    while at < end:
        record = Arrival(at, symbol, price, at, seq_id, source)
        yield from _arrive(record, end, rng)
        if at > quiet_at:
            at += int(rng.uniform(30, 400) * SECOND_US)
            quiet_at = at + int(rng.expovariate(1 / 900) * SECOND_US)
        elif rng.random() > 0.03:  # otherwise two updates have the same time
            at += int(rng.expovariate(1) * SECOND_US)
        price, seq_id = _next_price(price, rng), seq_id + 1
    yield Arrival(end + 60 * SECOND_US, symbol, price, end + 60 * SECOND_US, LAST_SEQ_ID, source)


def _next_price(price: float, rng: Random) -> float:
    chance = rng.random()
    if chance < 0.25:
        return price
    deviation = 20 * STEP if chance < 0.255 else STEP
    return round(price * (1 + rng.gauss(0, deviation)), 2)


def _arrive(record: Arrival, end: int, rng: Random) -> Iterator[Arrival]:
    """Yields an update as it arrives: in time, late with another price, or twice. The first is always in time."""
    chance = rng.random()
    if chance < 0.02 and record.seq_id > 1:
        seconds = rng.uniform(15, 40) if chance < 0.002 else rng.uniform(0.5, 4)
        price = round(record.price * (1 + rng.gauss(0, 10 * STEP)), 2)
        yield record._replace(at=min(record.at + int(seconds * SECOND_US), end), price=price)
        return
    yield record
    if chance > 0.98:
        yield record._replace(at=min(record.at + int(rng.uniform(0, 20) * SECOND_US), end))
