"""Opens the gateway's listening socket; several processes can share one port."""

import errno
import socket
import sys
from contextlib import suppress

BACKLOG = 4096
LOOPBACK, OTHER_LOOPBACK = "127.0.0.1", "::1"
KERNEL_BALANCES = sys.platform == "linux"
"""Whether the kernel distributes connections over sockets that share a port."""


class PortUnavailable(Exception):
    """The port is in use, or the address does not belong to this machine."""


def resolve_host(host: str, port: int, loopback: bool = False) -> str:
    """Returns the address to bind: `host`, or the address for all interfaces if `host` is empty.

    The address for all interfaces is `::` (IPv6 and IPv4) if the machine has IPv6, and `0.0.0.0` if not. If `loopback`
    is true, an empty host stands for `127.0.0.1`. PortUnavailable is then raised if another program listens on the port
    at `::1`, because browsers try both addresses.
    """
    if host:
        return host
    if loopback:
        _require_free(OTHER_LOOPBACK, port)
        return LOOPBACK
    with suppress(PortUnavailable):
        open_listener("::", 0).close()
        return "::"
    return "0.0.0.0"  # noqa: S104 - APP_PORT names no host


def _require_free(host: str, port: int) -> None:
    try:
        open_listener(host, port).close()
    except PortUnavailable as failure:
        if isinstance(failure.__cause__, OSError) and failure.__cause__.errno == errno.EADDRINUSE:
            raise  # any other reason means that the machine does not have the address


def open_listener(host: str, port: int, *, shared: bool = False, listen: bool = True) -> socket.socket:
    """Returns a socket that is bound to the port. Raises PortUnavailable if the port cannot be bound.

    If `shared` is true, other processes of the same user can bind `shared` sockets to the same port. If `listen` is
    false, the socket accepts no connections yet.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        if listen:
            listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        advice = "is in use: stop the process that listens there, or set APP_PORT"
        reason = advice if error.errno == errno.EADDRINUSE else error.strerror
        place = f"[{host}]" if ":" in host else host
        raise PortUnavailable(f"{place}:{port} {reason}") from error
    return listener


def stop_listening(listener: socket.socket) -> None:
    """Stops a socket from accepting new connections, until `listen` is called again.

    The socket stays bound to its port. Connections that are not accepted yet are reset. The call affects all processes
    that hold the socket.
    """
    with suppress(OSError):  # it does not listen
        listener.shutdown(socket.SHUT_RD)
