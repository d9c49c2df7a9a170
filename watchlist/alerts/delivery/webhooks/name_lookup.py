"""Finds the IP addresses of host names within a time limit."""

import queue
import socket
import threading
import time
from collections.abc import Callable, Sequence

from watchlist.alerts.delivery.webhooks.addresses import Address, read_address

Resolve = Callable[[str, int], Sequence[str]]
"""Returns the IP addresses of a host name as texts. Takes the name and a port. Raises OSError."""

MAX_LOOKUPS = 64
"""How many lookups may run at once. A lookup that takes too long goes on after its caller has given up."""

_slots = threading.BoundedSemaphore(MAX_LOOKUPS)


class LookupFailed(Exception):
    """A host name has no address, or its name servers do not answer. The text is for people."""


def resolve_with_system(host: str, port: int) -> list[str]:
    """Asks the name servers of this machine."""
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def find_addresses(host: str, port: int, seconds: float, resolve: Resolve = resolve_with_system) -> list[Address]:
    """Returns the addresses of a host name, each once. Waits at most `seconds` seconds. Raises LookupFailed."""
    deadline = time.monotonic() + seconds
    slots = _slots
    if not slots.acquire(timeout=seconds):
        raise LookupFailed("too many host names are being looked up")
    results: queue.SimpleQueue[Sequence[str] | None] = queue.SimpleQueue()
    # A daemon thread, because `getaddrinfo` has no time limit and must not delay the end of the process.
    threading.Thread(target=_resolve, args=(resolve, host, port, results, slots), daemon=True).start()
    try:
        texts = results.get(timeout=max(deadline - time.monotonic(), 0.0))
    except queue.Empty:
        raise LookupFailed(f"no name server answered for {host}") from None
    if not texts:
        raise LookupFailed(f"the host name {host} has no address")
    return list(dict.fromkeys(map(read_address, texts)))


def _resolve(
    resolve: Resolve,
    host: str,
    port: int,
    results: "queue.SimpleQueue[Sequence[str] | None]",
    slots: threading.BoundedSemaphore,
) -> None:
    try:
        results.put(resolve(host, port))
    except (OSError, ValueError):  # ValueError: a label of the name is empty or too long
        results.put(None)
    finally:
        slots.release()
