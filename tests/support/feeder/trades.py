"""Makes trades for tests of the feeder."""

from feeds.sources.events import Trade

BEGIN = 1_766_480_000_000_000


def trade(number: int, *, time: int | None = None, price: float | None = None, size: float = 1.0, **fields) -> Trade:
    """Returns a trade with the sequence number `number`. `time` is in microseconds after BEGIN; default: `number`."""
    timestamp = BEGIN + (number if time is None else time)
    return Trade("X", 100.0 + number if price is None else price, size, timestamp, str(number), number, **fields)


def unnumbered(number: int, *, time: int | None = None, **fields) -> Trade:
    """Returns a trade without a sequence number. Its id is `id-NUMBER`."""
    return Trade("X", 100.0 + number, 1.0, BEGIN + (number if time is None else time), f"id-{number}", **fields)
