"""Ends connections so that the client receives the last bytes.

After the last bytes, the gateway shuts down its side of the connection. The socket then lingers: the gateway drops
input until the client closes its side.
"""

import socket
import struct
from collections.abc import Callable
from contextlib import suppress

from watchlist.gateway.front.poller import Poller

LINGER_SECONDS = 1.0
"""How long the client may take to close its side of the connection."""
MAX_DROPPED_BYTES = 4 * 1024 * 1024
"""The most bytes of input that are dropped for one socket. If more input arrives, the connection is reset."""
MAX_SOCKETS = 500  # a client that is refused repeatedly must not use up the file descriptors of the process
"""The most sockets that linger. If a further socket is added, the oldest lingering socket is closed."""
READ_BYTES = 64 * 1024
RESET = struct.pack("ii", 1, 0)
"""The value of SO_LINGER that makes the close of a socket reset the connection."""


class LingeringSockets:
    """Holds sockets that send their last bytes and then wait for the client to close the connection.

    `clock` returns monotonic seconds.
    """

    def __init__(self, poller: Poller, clock: Callable[[], float]) -> None:
        self.poller = poller
        self._clock = clock
        self._sockets: dict[LingeringSocket, None] = {}  # in the order of their deadlines

    def __len__(self) -> int:
        return len(self._sockets)

    def add(self, sock: socket.socket, rest: bytes, *, watched: bool) -> None:
        """Sends `rest`, the last bytes of a connection, then drops input until the client closes the connection.

        `watched` says whether the poller already watches the socket.
        """
        lingering = LingeringSocket(self, sock, rest, self._clock() + LINGER_SECONDS)
        if len(self._sockets) >= MAX_SOCKETS:
            next(iter(self._sockets)).end()
        self._sockets[lingering] = None
        if watched:
            self.poller.replace(sock.fileno(), lingering)
        else:
            self.poller.add(sock.fileno(), lingering)
        lingering.start()

    def discard(self, lingering: "LingeringSocket") -> None:
        self._sockets.pop(lingering, None)

    def sweep(self) -> None:
        """Closes each socket whose deadline has passed. Call this method about once per second."""
        now = self._clock()
        for lingering in list(self._sockets):
            if lingering.deadline > now:
                break
            lingering.end()

    def end_older_half(self) -> None:
        """Closes the half of the sockets that was added first, without waiting for their clients."""
        for lingering in list(self._sockets)[: (len(self._sockets) + 1) // 2]:
            lingering.end()

    def close(self) -> None:
        """Closes all lingering sockets without waiting for their clients."""
        for lingering in list(self._sockets):
            lingering.end()


class LingeringSocket:
    """A socket that sends its last bytes, then drops input until the client closes the connection.

    The gateway closes the socket at `deadline` (monotonic seconds) at the latest.
    """

    __slots__ = ("_dropped_bytes", "_owner", "_rest", "_sock", "deadline")

    def __init__(self, owner: LingeringSockets, sock: socket.socket, rest: bytes, deadline: float) -> None:
        self._owner = owner
        self._sock = sock
        self._rest = rest
        self._dropped_bytes = 0
        self.deadline = deadline

    def start(self) -> None:
        if self._send():
            self._owner.poller.wait_writable(self._sock.fileno(), True)

    def on_readable(self) -> None:
        data = receive(self._sock, READ_BYTES)
        if data is None:
            return
        self._dropped_bytes += len(data)
        if not data or self._dropped_bytes > MAX_DROPPED_BYTES:
            self.end()

    def on_writable(self) -> None:
        if not self._send() and self._sock.fileno() >= 0:
            self._owner.poller.wait_writable(self._sock.fileno(), False)

    def _send(self) -> bool:
        """Sends the unsent bytes, then shuts down the sending side. Returns True if unsent bytes remain."""
        try:
            if self._rest:
                self._rest = self._rest[self._sock.send(self._rest) :]
            if not self._rest:
                # If the socket were closed with unread input, the kernel would reset the connection, and the client
                # might lose the last bytes.
                self._sock.shutdown(socket.SHUT_WR)
        except (BlockingIOError, InterruptedError):
            pass  # the socket is full
        except OSError:
            self.end()
            return False
        return bool(self._rest)

    def on_error(self) -> None:
        self.end()

    def end(self) -> None:
        """Closes the socket. Resets the connection if unsent bytes remain."""
        self._owner.discard(self)
        if self._sock.fileno() >= 0:
            self._owner.poller.remove(self._sock.fileno())
            close_socket(self._sock, reset=bool(self._rest))


def receive(sock: socket.socket, max_bytes: int) -> bytes | None:
    """Returns the next bytes from a socket: b"" if the connection has ended, None if no bytes have arrived."""
    try:
        return sock.recv(max_bytes)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError:
        return b""


def close_socket(sock: socket.socket, *, reset: bool = False) -> None:
    """Closes a socket. If `reset` is True, drops unsent bytes and resets the connection."""
    if reset:
        with suppress(OSError):  # the connection has ended
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()
