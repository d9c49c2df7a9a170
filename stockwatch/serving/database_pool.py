"""Makes the threads of a gateway process share a pool of connections to PostgreSQL.

Other programs do not use a pool, because each of their threads keeps its connection.
"""

from typing import Any

from django.db import connections

WAIT_SECONDS = 3.0
"""How long a thread waits for a connection. The time is as long as that for a new connection without a pool.

After this time, a page says that the database is unavailable.
"""
RECONNECT_SECONDS = 3.0
"""How long the pool repeats a failed attempt to connect.

The waits between these attempts double. A longer time would delay the end of an outage.
"""


def install(size: int) -> None:
    """Makes all later connections of this process come from a pool with at most `size` connections.

    If `size` is 0, nothing changes. Call this function while the process has no open connection.
    """
    if size == 0:
        return
    database: dict[str, Any] = connections.settings["default"]
    limits = {"min_size": 0, "max_size": size, "timeout": WAIT_SECONDS, "reconnect_timeout": RECONNECT_SECONDS}
    database["OPTIONS"]["pool"] = limits
    database["CONN_MAX_AGE"] = 0  # a thread gives its connection back instead of keeping it
