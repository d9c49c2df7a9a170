"""A server on `websockets` that sends each update with `broadcast`.

    python -m tests.bench.peers.servers.websockets_broadcast PORT REDIS_PORT

A client sends an array of symbols. It receives the newest update of each symbol, then all later updates.
"""

import asyncio
import json
import sys
from collections import defaultdict

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed

from tests.bench.peers.servers.redis_feed import follow

newest: dict[str, str] = {}
subscribers: defaultdict[str, set[ServerConnection]] = defaultdict(set)


def pass_on(symbol: str, update: bytes) -> None:
    newest[symbol] = text = update.decode()
    broadcast(subscribers[symbol], text)


async def handle(client: ServerConnection) -> None:
    symbols: list[str] = []
    try:
        async for request in client:
            symbols = json.loads(request)
            for symbol in symbols:
                subscribers[symbol].add(client)
                if symbol in newest:
                    await client.send(newest[symbol])
    except ConnectionClosed:
        pass
    finally:
        for symbol in symbols:
            subscribers[symbol].discard(client)


async def main(port: int, redis_port: int) -> None:
    await follow(redis_port, pass_on)
    async with serve(handle, "127.0.0.1", port, compression=None, ping_interval=None, backlog=4096) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
