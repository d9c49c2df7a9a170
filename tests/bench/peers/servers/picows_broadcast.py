"""A server on `picows` that sends each update to each subscriber.

    python -m tests.bench.peers.servers.picows_broadcast PORT REDIS_PORT

A client sends an array of symbols. It receives the newest update of each symbol, then all later updates.
"""

import asyncio
import json
import sys
from collections import defaultdict

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from tests.bench.peers.servers.redis_feed import follow

newest: dict[str, bytes] = {}
subscribers: defaultdict[str, set[WSTransport]] = defaultdict(set)


class Client(WSListener):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.symbols: list[str] = []

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT:
            self.symbols = json.loads(frame.get_payload_as_bytes())
            for symbol in self.symbols:
                subscribers[symbol].add(transport)
                if symbol in newest:
                    transport.send(WSMsgType.TEXT, newest[symbol])

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        for symbol in self.symbols:
            subscribers[symbol].discard(transport)


def accept(_request: WSUpgradeRequest) -> WSListener:
    return Client()


def pass_on(symbol: str, update: bytes) -> None:
    newest[symbol] = update
    for transport in list(subscribers[symbol]):
        transport.send(WSMsgType.TEXT, update)


async def main(port: int, redis_port: int) -> None:
    await follow(redis_port, pass_on)
    server = await ws_create_server(accept, "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
