"""Listening sockets: one line when a port is taken, and several processes on one."""

import errno
import socket
import sys
from contextlib import suppress

BACKLOG = 4096
BALANCES = sys.platform == "linux"
"""Whether the kernel spreads connections over sockets that share a port."""


class PortTaken(Exception):
    """Somebody else listens there, or the address is not ours."""


def bind_host(host: str) -> str:
    """No host means all addresses: IPv6's wildcard takes IPv4 too, where the machine has IPv6."""
    if host:
        return host
    with suppress(PortTaken):
        open_listener("::", 0).close()
        return "::"
    return "0.0.0.0"  # noqa: S104 - what an APP_PORT without a host asks for


def open_listener(host: str, port: int, *, shared: bool = False, listen: bool = True) -> socket.socket:
    """A listening socket; a `shared` one lets others of the same user share its port, for which a taken one looks free.

    Raises PortTaken.
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
        words = "is in use: stop what listens there, or set APP_PORT" if error.errno == errno.EADDRINUSE else ""
        raise PortTaken(f"{host}:{port} {words or error.strerror}") from error
    return listener
