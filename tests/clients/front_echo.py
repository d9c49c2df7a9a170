"""Echoes messages on the connections of the front, for conformance tests: `python -m tests.clients.front_echo PORT`.

The connections are those of the gateway, but without its limits on messages and frames. On a connection with
compression, all messages are compressed, because kosoku takes no plain message there.
"""

import asyncio
import os
import socket
import sys
import zlib
from dataclasses import replace

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stockwatch.settings")
django.setup()

from stockwatch.serving.connection_limit import NO_LIMIT  # noqa: E402 - needs Django to be set up
from tests.support.gateway.raw_socket import COMPRESSED  # noqa: E402
from tests.support.gateway.sessions import make_connections  # noqa: E402
from watchlist.gateway.connection_options import ConnectionOptions  # noqa: E402
from watchlist.gateway.deflate.compressor import Compressor  # noqa: E402
from watchlist.gateway.framing import frame_header  # noqa: E402
from watchlist.gateway.front import connection, upgrades  # noqa: E402
from watchlist.gateway.front.connection import FrontConnection  # noqa: E402
from watchlist.gateway.front.frames import BinaryMessage, Event, TextMessage  # noqa: E402
from watchlist.gateway.front.front import Front  # noqa: E402
from watchlist.gateway.sockets.admission import Admitted  # noqa: E402
from watchlist.gateway.sockets.session import Session  # noqa: E402

MAX_MESSAGE_BYTES = 17 * 2**20


class EchoConnection(FrontConnection):
    """A connection that echoes messages instead of handing them to its session."""

    __slots__ = ()

    def _receive(self, session: Session, event: Event, now: float) -> None:
        if isinstance(event, TextMessage):
            session.outbox.reply_frame(self._make_frame(0x81, event.text.encode()))
        elif isinstance(event, BinaryMessage):
            session.outbox.reply_frame(self._make_frame(0x82, event.data))
        else:
            super()._receive(session, event, now)

    def _make_frame(self, first: int, payload: bytes) -> bytes:
        if self._compressor is None:
            return frame_header(first, len(payload)) + payload
        stream = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        packed = (stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]
        return frame_header(first | COMPRESSED, len(packed)) + packed


class OpenAdmission:
    """Accepts every connection."""

    def begin(self, _request, done) -> None:
        done(Admitted(ConnectionOptions(batch=True)))


async def main(port: int) -> None:
    connection.MAX_MESSAGE_BYTES = MAX_MESSAGE_BYTES
    upgrades.FrontConnection = EchoConnection
    connections = make_connections(frames_per_second=1e9, frames_burst=10**9)
    connections.context = replace(connections.context, compressor=Compressor())
    listener = socket.create_server(("127.0.0.1", port))
    Front(listener, OpenAdmission(), connections, NO_LIMIT, socket.socket.close, asyncio.get_running_loop())
    print("Listening on", port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
