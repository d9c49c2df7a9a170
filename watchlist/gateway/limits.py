"""What one client may do: where it may come from, how often, how much. Pure but for `Admission`, which asks Redis.

The bucket of connections per address lives in Redis (`ratelimit:IP`: `tokens`, `last_refill` in unix seconds), so that
it holds over every gateway and over restarts.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits of a gateway; times in seconds. The names are those of the settings, without GATEWAY_."""

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
