"""Limits how long the queries of a gateway process wait for PostgreSQL.

Other commands, such as `migrate`, have no limit.
"""

from typing import Any

from django.db.backends.signals import connection_created
from psycopg import Connection, errors

# Without a limit, a query waits forever if a proxy or NAT drops the bytes of its connection without an error.
QUERY_SECONDS = 10.0
"""The longest time from sending a query to the end of its result."""


class LimitedConnection(Connection[Any]):
    """A connection to PostgreSQL that waits at most QUERY_SECONDS for the server.

    After a longer wait, the connection closes and raises OperationalError.
    """

    def wait(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().wait(*arguments, **{"timeout": QUERY_SECONDS, **options})
        except errors._WaitTimeout as error:
            self.pgconn.finish()  # The state is unknown. An orderly close would also wait.
            raise errors.OperationalError(f"PostgreSQL did not answer within {QUERY_SECONDS} s") from error


def limit_waits(connection: Any, **_: Any) -> None:
    """Makes a new connection to PostgreSQL a LimitedConnection. Django calls this function for each new connection."""
    if connection.vendor == "postgresql":
        connection.connection.__class__ = LimitedConnection  # Django offers no setting for the class.


def install() -> None:
    """Makes all later connections of this process to PostgreSQL wait at most QUERY_SECONDS."""
    connection_created.connect(limit_waits)
