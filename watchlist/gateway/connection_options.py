"""Parses the query string of a connection to `/ws` or `/stream`. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from watchlist.gateway.protocol import BadRequest

TOKEN_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """The options in the query string of a connection.

    With `batch`, the client gets arrays of updates. `heartbeat` is the interval of heartbeats in seconds, 0 for none.
    With `meta`, the client gets `ticker`, `feed`, `list` and `service` frames. With `notice`, the client gets a
    `reconnect` frame before the gateway closes the socket with the code 4001. `shared` is the hash of the token in the
    link of a shared list, or empty. With `shared`, the client gets `list` frames about this list only.
    """

    batch: bool = False
    heartbeat: int = 0
    meta: bool = False
    notice: bool = False
    shared: str = ""

    @property
    def follows_account(self) -> bool:
        """Returns whether the client gets `list` frames of its account.

        A client that follows a shared list gets none of them.
        """
        return self.meta and not self.shared


NO_OPTIONS = ConnectionOptions()


def parse_query(query: bytes) -> ConnectionOptions:
    """Parses a query string such as `batch=1&heartbeat=15&meta=1&notice=1`. Ignores other keys.

    The value of `shared` has 64 hexadecimal digits. Raises BadRequest for an invalid value of `heartbeat` or `shared`.
    """
    if not query:
        return ConnectionOptions()
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    flags = {name: values.get(name) == ["1"] for name in ("batch", "meta", "notice")}
    [shared, *_] = values.get("shared", [""])
    if "shared" in values and not TOKEN_HASH.fullmatch(shared):
        raise BadRequest("shared must be 64 hexadecimal digits")
    return ConnectionOptions(heartbeat=parse_heartbeat(values.get("heartbeat", [])), shared=shared, **flags)


def parse_heartbeat(values: Sequence[str]) -> int:
    """Returns the interval of heartbeats in seconds, from the values of `heartbeat` in a query. No value means 0.

    Raises BadRequest.
    """
    if not values:
        return 0
    seconds = values[0]
    if not (seconds.isascii() and seconds.isdecimal() and len(seconds) < 3 and 1 <= int(seconds) <= 60):
        raise BadRequest("heartbeat must be a whole number of seconds from 1 to 60")
    return int(seconds)
