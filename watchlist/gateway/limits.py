"""Defines the limits of a gateway: on each client, and on the number of clients. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits of a gateway. Times are in seconds.

    Settings with the prefix GATEWAY_ set `allowed_origins`, `trusted_proxies`, `max_connections`, `max_symbols`,
    `rate_per_second` and `rate_burst` (both of new connections). Settings with the prefix GATEWAY_TIMEOUTS_ set
    `send_buffer` (updates that wait for a slow client in mode `all`), `write_wait`, `pong_wait` and `ping_period`. No
    setting changes the others. A client is disconnected after `bad_requests` in a row, or after `refusals` requests
    over the message rate within `refusals_within`.
    """

    allowed_origins: tuple[str, ...] = ("*",)
    trusted_proxies: tuple[str, ...] = ()
    max_connections: int = 1000
    max_symbols: int = 1024
    send_buffer: int = 256
    rate_per_second: float = 1.0
    rate_burst: int = 5
    write_wait: float = 10.0
    pong_wait: float = 60.0
    ping_period: float = 54.0
    first_request: float = 10.0
    messages_per_second: float = 5.0
    messages_burst: int = 20
    frames_per_second: float = 100.0
    frames_burst: int = 1000
    bad_requests: int = 10
    refusals: int = 20
    refusals_within: float = 10.0
