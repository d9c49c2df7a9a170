"""Publishes synthetic prices as the processor does.

    python -m tests.bench.publisher PORT SYMBOLS HZ SECONDS [walk] [trades|padded]

Each of the symbols S0, S1, … has HZ updates per second. All symbols are updated at the same time. Without `walk`, the
prices are constant, because constant prices take the least CPU time. With `walk`, each symbol has its own prices and
seq_ids, and sizes are random. Compression then finds no more repetition than in real updates.

With `trades`, updates also have size, bid and ask. With `padded`, updates have only the four required keys, and spaces
up to the length of an update with `trades`.
"""

import random
import sys
import time

import msgspec
import redis

from feeds import wire

PRICE, STEP, SIZE = 150.1234, 0.0002, 12.5
KEYS = ("four", "trades", "padded")
SPREAD_GROUPS = 20


def encode(update: wire.Update, keys: str, size: float) -> bytes:
    """Returns the bytes of an update. `keys` is one of KEYS."""
    trade = msgspec.structs.replace(update, size=size, bid=update.price, ask=update.price + 0.01)
    if keys == "trades":
        return wire.encode(trade)
    value = wire.encode(update)
    return value if keys == "four" else value[:-1] + b" " * (len(wire.encode(trade)) - len(value)) + b"}"


def publish_round(
    client: redis.Redis, prices: dict[str, float], numbers: dict[str, int], keys: str, rng: random.Random | None
) -> None:
    """Publishes an update of each symbol. `numbers` holds the next seq_id of each symbol."""
    pipe = client.pipeline(transaction=False)
    for symbol, price in prices.items():
        size = rng.randrange(1, 10_000) / 100 if rng else SIZE
        value = encode(wire.Update(symbol, price, time.time_ns() // 1000, numbers[symbol]), keys, size)
        numbers[symbol] += 1
        pipe.set(wire.stock_key(symbol), value)
        pipe.publish(wire.channel_name(symbol), value)
    pipe.execute()


def move(prices: dict[str, float], rng: random.Random) -> None:
    for symbol, price in prices.items():
        prices[symbol] = round(price * (1 + rng.gauss(0, STEP)), 2)


def main(port: int, symbols: int, hertz: float, seconds: float, walks: bool, groups: int, keys: str) -> None:
    client = redis.Redis(port=port, protocol=2)
    started, turns = time.monotonic(), 0
    rng = random.Random(7) if walks else None
    prices = {f"S{number}": round(rng.uniform(5, 900), 2) if rng else PRICE for number in range(symbols)}
    seq = time.time_ns() // 1_000_000
    numbers = {symbol: seq + (rng.randrange(1_000_000) if rng else 0) for symbol in prices}
    names = list(prices)
    while turns < hertz * seconds * groups:
        if rng and turns % groups == 0:
            move(prices, rng)
        group = names[turns % groups :: groups]
        publish_round(client, {name: prices[name] for name in group}, numbers, keys, rng)
        turns += 1
        time.sleep(max(0.0, started + turns / hertz / groups - time.monotonic()))


if __name__ == "__main__":
    options = sys.argv[5:]
    chosen = next((option for option in options if option in KEYS), KEYS[0])
    spread = SPREAD_GROUPS if "spread" in options else 1
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), "walk" in options, spread, chosen)
