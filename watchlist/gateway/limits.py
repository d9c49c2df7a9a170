"""Defines the limits of a gateway. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a gateway for its clients. Times are in seconds.

    `send_buffer` is how many updates may wait for a client in the delivery mode `all`. `rate_per_second` and
    `rate_burst` limit new connections. `messages_…`, `bytes_…` and `frames_…` limit what one client sends. Settings
    with the prefix GATEWAY_ set the attributes from `allowed_origins` to `messages_burst`.
    """

    allowed_origins: tuple[str, ...] = ("*",)
    trusted_proxies: tuple[str, ...] = ()
    max_connections: int = 1000
    max_per_address: int = 250
    max_symbols: int = 1024
    send_buffer: int = 256
    rate_per_second: float = 1.0
    rate_burst: int = 5
    write_wait: float = 10.0
    pong_wait: float = 60.0
    ping_period: float = 54.0
    max_age: float = 0.0
    """The longest time that a socket may stay open. 0 means no limit."""
    messages_per_second: float = 5.0
    messages_burst: int = 20
    first_request: float = 10.0
    bytes_per_second: float = 80 * 1024.0
    bytes_burst: int = 320 * 1024
    frames_per_second: float = 100.0
    frames_burst: int = 1000
    bad_requests: int = 10
    refusals: int = 20
    refusals_within: float = 10.0
    max_per_process: int = 0
    """The most connections that one process can hold within its limit of open files. 0 means no limit."""
