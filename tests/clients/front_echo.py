"""Echoes messages on the connections of the front, for conformance tests: `python -m tests.clients.front_echo PORT`.

The connections are those of the gateway, but without its limits on messages and frames.
"""

import asyncio
import os
import socket
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stockwatch.settings")
django.setup()

from stockwatch.serving.connection_limit import NO_LIMIT  # noqa: E402 - needs Django to be set up
from tests.support.gateway.sessions import make_connections  # noqa: E402
from watchlist.gateway.framing import frame_header, text_frame  # noqa: E402
from watchlist.gateway.front import connection, upgrades  # noqa: E402
from watchlist.gateway.front.connection import FrontConnection  # noqa: E402
from watchlist.gateway.front.frames import BinaryMessage, Event, TextMessage  # noqa: E402
from watchlist.gateway.front.front import Front  # noqa: E402
from watchlist.gateway.protocol import ConnectionOptions  # noqa: E402
from watchlist.gateway.sockets.admission import Admitted  # noqa: E402
from watchlist.gateway.sockets.session import Session  # noqa: E402

MAX_MESSAGE_BYTES = 17 * 2**20


class EchoConnection(FrontConnection):
    """A connection that echoes messages instead of handing them to its session."""

    __slots__ = ()

    def _receive(self, session: Session, event: Event, now: float) -> None:
        if isinstance(event, TextMessage):
            session.outbox.reply_frame(text_frame(event.text.encode()))
        elif isinstance(event, BinaryMessage):
            session.outbox.reply_frame(frame_header(0x82, len(event.data)) + event.data)
        else:
            super()._receive(session, event, now)


class OpenAdmission:
    """Accepts every connection."""

    def begin(self, _request, done) -> None:
        done(Admitted(ConnectionOptions()))


async def main(port: int) -> None:
    connection.MAX_MESSAGE_BYTES = MAX_MESSAGE_BYTES
    upgrades.FrontConnection = EchoConnection
    connections = make_connections(frames_per_second=1e9, frames_burst=10**9)
    listener = socket.create_server(("127.0.0.1", port))
    Front(listener, OpenAdmission(), connections, NO_LIMIT, socket.socket.close, asyncio.get_running_loop())
    print("Listening on", port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
