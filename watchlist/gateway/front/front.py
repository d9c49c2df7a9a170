"""Accepts all connections, serves `/ws` and `/stream`, and hands other connections over to Daphne.

`Front` reads the first bytes of a connection, and leaves these bytes in the socket (MSG_PEEK). If the bytes are a
complete and plain request for a WebSocket or a stream, `Front` serves the connection. The module `plain_request` says
which requests are plain. All other connections go to Daphne with all their bytes.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog

from watchlist.gateway.front.handshake import parse_upgrade
from watchlist.gateway.front.lingering import LingeringSockets, close_socket
from watchlist.gateway.front.plain_request import MAX_HEAD_BYTES
from watchlist.gateway.front.poller import make_poller
from watchlist.gateway.front.stream_request import parse_stream_request
from watchlist.gateway.front.streams import Streams
from watchlist.gateway.front.unread import HttpLimit, UnreadSockets
from watchlist.gateway.front.upgrades import Upgrades
from watchlist.gateway.sockets.admission import Admission
from watchlist.gateway.sockets.connections import Connections

log = structlog.get_logger(__name__)

MAX_ACCEPTS = 32
"""The most connections that one call of `_accept` accepts. After the call, the event loop does other work."""
MAX_QUEUED = 4096
"""The most connections that `stop_accepting` accepts. This number is also the length of the kernel's queue."""
PAUSE_SECONDS = 1.0
"""The pause after an error of `accept`. If `_make_room` has closed other connections, there is no pause."""
MAX_PAUSES = 2
"""How many pauses may follow each other. Afterwards, waiting connections are refused until one can be accepted."""
NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""The errors of `accept` that can end when other connections are closed, such as too many open files."""
NO_FILE = "no file descriptor"
"""The reason under which `stockwatch_refused_total` counts connections that end because of an error in NO_ROOM."""
SWEEP_SECONDS = 1.0


class Front:
    """Accepts the connections of a listening socket, and serves them or hands them over to Daphne.

    `hand_over` gives Daphne a duplicate of a socket, and closes the socket. `http_limit` limits the HTTP connections of
    each address. A connection that has sent no byte yet counts as an HTTP connection.
    """

    def __init__(
        self,
        listener: socket.socket,
        admission: Admission,
        connections: Connections,
        http_limit: HttpLimit,
        hand_over: Callable[[socket.socket], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._listener = listener
        self._hand_over = hand_over
        self._loop = loop
        poller, clock = make_poller(loop), connections.context.clock.now
        self.lingering = LingeringSockets(poller, clock)
        self.unread = UnreadSockets(poller, http_limit, clock, self._serve, hand_over)
        self._connections = connections
        self._upgrades = Upgrades(admission, connections, self.lingering)
        self._streams = Streams(admission, connections, self.lingering, self._upgrades.tune)
        self._poller = poller
        self._accepting = True
        self._dropped = self._refused = 0  # since the last sweep
        self._pauses = 0
        """How many pauses there were since the last accepted connection."""
        self._spare = open_spare()
        """A file descriptor that `_refuse` closes for a moment, so that it can accept a connection."""
        self._timer: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        loop.add_reader(listener.fileno(), self._accept)
        self._sweep()

    @property
    def is_idle(self) -> bool:
        """Returns True if no upgrade request is being checked and no socket is being closed."""
        return not (self._connections.pending_count or len(self.lingering))

    def stop_accepting(self) -> None:
        """Accepts the connections in the kernel's queue, then accepts no more connections.

        Accepted connections and the listening socket stay open.
        """
        if self._accepting:
            self._accept_batch(MAX_QUEUED)
            self._accepting = False
            self._loop.remove_reader(self._listener.fileno())

    def stop(self) -> None:
        """Stops accepting connections. Closes the sockets in `unread` and in `lingering`."""
        self.stop_accepting()
        if self._timer is not None:
            self._timer.cancel()
        self.unread.close()
        self.lingering.close()
        self._poller.close()
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    def _accept(self) -> None:
        self._accept_batch(MAX_ACCEPTS)

    def _accept_batch(self, count: int) -> None:
        for _ in range(count):
            try:
                sock, peer = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue  # the client has left the queue
            except OSError as error:
                if self._make_room(error):
                    continue
                if error.errno in NO_ROOM and self._pauses >= MAX_PAUSES and self._spare is not None:
                    if self._refuse(self._spare):
                        continue
                    return
                self._pause(error)
                return
            self._pauses = 0
            try:
                sock.setblocking(False)
                self._serve(sock, peer)
            except Exception:  # The other connections must be served.
                log.exception("connection failed")
                close_socket(sock)

    def _make_room(self, error: OSError) -> bool:
        """If no file descriptor is free, closes connections that linger, or that have sent no byte.

        `error` is the error of the attempt to accept a connection. Returns whether a connection was closed.
        """
        if error.errno not in NO_ROOM:
            return False
        if len(self.lingering):  # the gateway has answered these clients already
            self.lingering.end_older_half()
            return True
        if not len(self.unread):
            return False
        # Otherwise silent clients from many addresses could keep other clients waiting until the time limit.
        dropped = self.unread.drop_older_half()
        self._dropped += dropped
        self._connections.context.counts.refused[NO_FILE] += dropped
        return True

    def _refuse(self, spare: int) -> bool:
        """Closes the connection that has waited longest, because no file descriptor is free.

        Returns False if no connection waits. After any other error there is a pause.
        """
        os.close(spare)
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return False
        except OSError as error:  # another program may have taken the file descriptor
            self._pause(error)
            return False
        else:
            close_socket(sock)
            self._refused += 1
            self._connections.context.counts.refused[NO_FILE] += 1
            return True
        finally:
            self._spare = open_spare()

    def _pause(self, error: OSError) -> None:
        """Accepts no connection for PAUSE_SECONDS. Waiting connections stay in the kernel's queue."""
        log.error("no connection can be accepted", reason=error.strerror, retry_seconds=PAUSE_SECONDS)
        self._pauses += 1
        self._loop.remove_reader(self._listener.fileno())
        self._loop.call_later(PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        if self._accepting:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _serve(self, sock: socket.socket, peer: Any) -> None:
        """Decides whether the gateway itself or Daphne serves a connection. If no byte has arrived, decides later."""
        try:
            data = sock.recv(MAX_HEAD_BYTES, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            self.unread.add(sock, peer)
            return
        except OSError:
            data = b""
        if not data:
            close_socket(sock)
        elif (upgrade := parse_upgrade(data)) is not None:
            self._upgrades.begin(sock, peer, upgrade)
        elif (stream := parse_stream_request(data)) is not None:
            self._streams.begin(sock, peer, stream)
        else:
            self._hand_over(sock)

    def _sweep(self) -> None:
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)
        self.unread.sweep()
        self.lingering.sweep()
        if self._dropped:
            log.error("silent connections closed", reason="no file descriptor is free", connections=self._dropped)
        if self._refused:
            log.error("connections refused", reason="no file descriptor is free", connections=self._refused)
        self._dropped = self._refused = 0


def open_spare() -> int | None:
    """Returns a new file descriptor, or None if no file descriptor is free."""
    with suppress(OSError):
        return os.open(os.devnull, os.O_RDONLY)
    return None
