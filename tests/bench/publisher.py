"""Publishes synthetic prices as the processor does: `python -m tests.bench.publisher PORT SYMBOLS HZ SECONDS`.

Symbols are S0, S1, …; each gets HZ updates a second, all at the same moment, stamped when they are made.
"""

import sys
import time

import redis

from feeds import wire


def publish_round(client: redis.Redis, symbols: list[str], seq: int) -> None:
    pipe = client.pipeline(transaction=False)
    for symbol in symbols:
        value = wire.encode(wire.Update(symbol, 150.1234, time.time_ns() // 1000, seq))
        pipe.set(wire.stock_key(symbol), value)
        pipe.publish(wire.channel_name(symbol), value)
    pipe.execute()


def main(port: int, symbols: int, hertz: float, seconds: float) -> None:
    client = redis.Redis(port=port, protocol=2)
    names = [f"S{number}" for number in range(symbols)]
    started, seq = time.monotonic(), time.time_ns() // 1_000_000
    rounds = 0
    while rounds < hertz * seconds:
        rounds += 1
        publish_round(client, names, seq + rounds)
        time.sleep(max(0.0, started + rounds / hertz - time.monotonic()))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
