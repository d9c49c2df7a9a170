"""Compares the clock of this machine with the clocks of servers."""

import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import redis
from django.db import DatabaseError, connection

from feeds.store.cluster.client import ClusterClient
from feeds.store.connection import PROBE, connect
from stockwatch.doctor.finding import Finding, failed, passed, warned

Clock = Callable[[], float]
"""Returns unix seconds."""
NEAR_SECONDS, FAR_SECONDS = 1.0, 5.0
"""A clock that differs by more than NEAR_SECONDS is a warning, by more than FAR_SECONDS a fault."""
HTTP_TIMEOUT_SECONDS = 5.0
ADVICE = "run a time service such as chrony on both machines: ages of prices, leases and alerts depend on the clocks"


def compare(name: str, difference: float, precision: float) -> Finding:
    """Returns the result for a clock that is `difference` seconds ahead of this machine's clock.

    `precision` is the largest possible error of the measurement, in seconds.
    """
    direction = "ahead of" if difference > 0 else "behind"
    found = f"{name} is {abs(difference):.1f} s {direction} this machine"
    if abs(difference) > FAR_SECONDS + precision:
        return failed("clock", found, ADVICE)
    if abs(difference) > NEAR_SECONDS + precision:
        return warned("clock", found, ADVICE)
    return passed("clock", f"{name} and this machine differ by less than {NEAR_SECONDS + precision:.1f} s")


def measure(read: Callable[[], float], clock: Clock) -> tuple[float, float]:
    """Measures how many seconds another clock is ahead of `clock`. `read` returns the time of the other clock.

    Returns two values: the seconds, and the largest possible error of the measurement in seconds.
    """
    before = clock()
    seconds = read()
    after = clock()
    return seconds - (before + after) / 2, abs(after - before) / 2


def check_clocks(
    address: Mapping[str, Any], has_server: bool, urls: Mapping[str, str], clock: Clock = time.time
) -> Iterator[Finding]:
    """Compares the clock of this machine with those of Redis, of the database server, and of the sources.

    `has_server` says whether the database is a server. `urls` maps the name of a source to the address of its HTTP
    service.
    """
    readers: dict[str, tuple[Callable[[], float], float]] = {"Redis": (partial(read_redis, address), 0.0)}
    if has_server:
        readers["the database"] = (read_database, 0.0)
    # The header Date has whole seconds, so its time can be one second old.
    readers |= {name: (partial(read_http, url), 1.0) for name, url in urls.items()}
    for name, (read, error) in readers.items():
        try:
            difference, precision = measure(read, clock)
        except (redis.RedisError, DatabaseError, OSError, HTTPException, ValueError) as failure:
            yield warned("clock", f"the clock of {name} cannot be read ({type(failure).__name__})", "see its own check")
        else:
            yield compare(name, difference, precision + error)


def read_redis(address: Mapping[str, Any]) -> float:
    """Returns the time of Redis, or of one node of a cluster, in unix seconds. Raises RedisError."""
    client = connect(address, PROBE)
    try:
        server = client.node_client(client.find_owner(0)) if isinstance(client, ClusterClient) else client
        seconds, micros = server.time()
        return float(seconds) + float(micros) / 1e6
    finally:
        client.close()


def read_database() -> float:
    """Returns the time of a PostgreSQL server in unix seconds. Raises DatabaseError."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
            return float(cursor.fetchone()[0])
    finally:
        connection.close()


def read_http(url: str) -> float:
    """Returns the time in the header Date of an HTTP response, in unix seconds.

    Raises OSError or HTTPException if the server does not answer, ValueError if the response has no valid Date.
    """
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    http = kind(parts.hostname or "", parts.port, timeout=HTTP_TIMEOUT_SECONDS)
    try:
        http.request("HEAD", parts.path or "/")
        return parsedate_to_datetime(http.getresponse().headers.get("Date", "")).timestamp()
    finally:
        http.close()
