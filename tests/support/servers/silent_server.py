"""A server that accepts connections and never answers."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager


@contextmanager
def silent_server() -> Iterator[int]:
    """A context with a port of 127.0.0.1 on which nothing is ever answered. At its end the connections break."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener.getsockname()[1]  # the kernel accepts connections
