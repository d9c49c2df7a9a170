"""Publishes synthetic prices as the processor does.

    python -m tests.bench.publisher PORT SYMBOLS HZ SECONDS [walk] [trades|padded]

The symbols S0, S1, … get HZ updates per second, all at the same time. Without `walk` the prices are constant, because
constant prices cost this process the least CPU time. With `trades`, updates also have size, bid and ask. With
`padded`, updates have only the four required keys, and spaces up to the length of the updates of `trades`.
"""

import random
import sys
import time

import msgspec
import redis

from feeds import wire

PRICE, STEP = 150.1234, 0.0002
KEYS = ("four", "trades", "padded")


def encode(update: wire.Update, keys: str) -> bytes:
    """Returns the bytes of an update. `keys` is one of KEYS."""
    trade = msgspec.structs.replace(update, size=12.5, bid=update.price, ask=update.price + 0.01)
    if keys == "trades":
        return wire.encode(trade)
    value = wire.encode(update)
    return value if keys == "four" else value[:-1] + b" " * (len(wire.encode(trade)) - len(value)) + b"}"


def publish_round(client: redis.Redis, prices: dict[str, float], seq: int, keys: str) -> None:
    pipe = client.pipeline(transaction=False)
    for symbol, price in prices.items():
        value = encode(wire.Update(symbol, price, time.time_ns() // 1000, seq), keys)
        pipe.set(wire.stock_key(symbol), value)
        pipe.publish(wire.channel_name(symbol), value)
    pipe.execute()


def move(prices: dict[str, float], rng: random.Random) -> None:
    for symbol, price in prices.items():
        prices[symbol] = round(price * (1 + rng.gauss(0, STEP)), 2)


def main(port: int, symbols: int, hertz: float, seconds: float, walks: bool, keys: str) -> None:
    client = redis.Redis(port=port, protocol=2)
    prices = {f"S{number}": PRICE for number in range(symbols)}
    started, seq = time.monotonic(), time.time_ns() // 1_000_000
    rounds, rng = 0, random.Random(7)
    while rounds < hertz * seconds:
        rounds += 1
        if walks:
            move(prices, rng)
        publish_round(client, prices, seq + rounds, keys)
        time.sleep(max(0.0, started + rounds / hertz - time.monotonic()))


if __name__ == "__main__":
    options = sys.argv[5:]
    chosen = next((option for option in options if option in KEYS), KEYS[0])
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), "walk" in options, chosen)
