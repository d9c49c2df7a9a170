"""The relay: a process that passes prices from Redis on to all processes of a gateway.

The command is `python -m stockwatch.serving.relay LISTENER PARENT`. LISTENER is the file descriptor of a bound Unix
socket, PARENT the id of the parent process. The relay ends when its parent has died. After SIGTERM or SIGINT, the relay
ends as soon as no gateway process is connected.
"""

import asyncio
import os
import signal
import socket
import sys

import structlog
from channels.layers import channel_layers

from watchlist.gateway.relay.server import Relay

log = structlog.get_logger("stockwatch.serving.relay")  # this module runs as `__main__`

CHECK_SECONDS = 0.2


async def serve(listener: socket.socket, parent: int) -> None:
    """Passes prices on until the parent dies. After a signal, ends as soon as no gateway process is connected."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    relay = Relay(channel_layers["prices"])
    await relay.start(listener)
    log.info("relay listening")
    while os.getppid() == parent and not (stopping.is_set() and relay.is_idle):  # noqa: ASYNC110 - a parent ends silently
        await asyncio.sleep(CHECK_SECONDS)
    await relay.close()


if __name__ == "__main__":
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])))
