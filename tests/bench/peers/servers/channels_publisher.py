"""Publishes synthetic prices with `group_send`, for `channels_tutorial.py`.

python -m tests.bench.peers.servers.channels_publisher REDIS_PORT SYMBOLS HZ SECONDS
"""

import asyncio
import os
import sys
import time

from tests.bench.peers.servers.updates import make_update


async def main(symbols: int, hertz: float, seconds: float) -> None:
    from channels.layers import get_channel_layer

    import tests.bench.peers.servers.channels_tutorial  # noqa: F401 - configures the layer

    layer, started, number = get_channel_layer(), time.monotonic(), time.time_ns() // 1_000_000
    for count in range(1, int(hertz * seconds) + 1):
        for symbol in range(symbols):
            text = make_update(f"S{symbol}", number + count).decode()
            await layer.group_send(f"tutorial.S{symbol}", {"type": "price.update", "text": text})
        await asyncio.sleep(max(0.0, started + count / hertz - time.monotonic()))


if __name__ == "__main__":
    os.environ["CHANNELS_REDIS_PORT"] = sys.argv[1]
    asyncio.run(main(int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
