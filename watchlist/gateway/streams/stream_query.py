"""Parses the query of `/stream`. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from feeds.symbols import upper_case
from watchlist.gateway.connection_options import parse_heartbeat
from watchlist.gateway.protocol import BadRequest

MAX_QUERY_BYTES = 16 * 1024
HERTZ = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True)
class StreamQuery:
    """What a client of `/stream` requests.

    `symbols` are trimmed and have no duplicates. ASCII symbols are upper-cased. `max_hz` is the most updates per second
    of each symbol, or None for no limit. `heartbeat` is the interval of heartbeats in seconds, 0 for none. With `meta`,
    the client gets the frames that `?meta=1` adds to `/ws`, as events.
    """

    symbols: tuple[str, ...]
    max_hz: float | None = None
    heartbeat: int = 0
    meta: bool = False


def parse_stream_query(query: bytes, max_symbols: int) -> StreamQuery:
    """Parses a query such as `symbols=AAPL,BTC/USD&max_hz=4&heartbeat=15`. Ignores other keys. Raises BadRequest."""
    if len(query) > MAX_QUERY_BYTES:
        raise BadRequest(f"The query has more than {MAX_QUERY_BYTES} bytes")
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    names = ",".join(values.get("symbols", [])).split(",")
    symbols = tuple(dict.fromkeys(filter(None, map(upper_case, names))))
    if not symbols:
        raise BadRequest("symbols must name symbols separated by commas, such as symbols=AAPL,GOOG")
    if len(symbols) > max_symbols:
        raise BadRequest(f"At most {max_symbols} symbols per stream: {len(symbols)} requested")
    heartbeat = parse_heartbeat(values.get("heartbeat", []))
    return StreamQuery(symbols, _parse_hertz(values.get("max_hz", [])), heartbeat, values.get("meta") == ["1"])


def _parse_hertz(values: Sequence[str]) -> float | None:
    if not values:
        return None
    if HERTZ.fullmatch(values[0]) is None:
        raise BadRequest("max_hz must be a number such as 4 or 0.5")
    return float(values[0])
