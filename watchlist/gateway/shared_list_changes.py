"""Sends `list` frames to the pages of shared lists, and closes their sockets when the link is revoked.

Reads the database every 0.25 s for all these sockets together, with one query. A link is revoked if its row is deleted
or replaced, if the list or the account is deleted, or if the account is deactivated.
"""

from collections.abc import Iterable, Mapping

from asgiref.sync import sync_to_async
from django.db import close_old_connections

from watchlist.gateway.database import DatabaseMonitor
from watchlist.gateway.list_changes import changed_lists
from watchlist.gateway.protocol import CloseCode
from watchlist.gateway.sockets.connections import Connections
from watchlist.models import ShareLink

READ_SECONDS = 0.25
SHARED_LIST = 0
"""The id of the shared list in `list` frames. No list of an account has this id."""


class SharedListChanges:
    """Watches the shared lists that open sockets follow."""

    def __init__(self, database: DatabaseMonitor, connections: Connections) -> None:
        self._database = database
        self._connections = connections

    async def follow(self) -> None:
        """Reads the shared lists and sends changes, until this task is cancelled.

        Pauses while the database is unavailable.
        """
        await self._database.repeat(READ_SECONDS, self._read_and_send, "shared lists")

    async def _read_and_send(self) -> None:
        read = {session.options.shared for session in self._connections.sessions if session.options.shared}
        if read:
            self.send_changes(read, await read_shared_versions(read))

    def send_changes(self, read: set[str], versions: Mapping[str, int]) -> None:
        """Sends a `list` frame to each socket whose shared list has changed. Closes the socket if the link is revoked.

        `read` holds the token hashes that were looked up. `versions` maps each token hash of a valid link to the
        version of its list. If earlier state messages still wait in a socket's outbox, a later call sends the change to
        this socket.
        """
        now = self._connections.context.clock.now()
        for session in list(self._connections.sessions):
            token_hash = session.options.shared
            if token_hash not in read or session.closing_since:
                continue
            if token_hash not in versions:
                session.close(CloseCode.LINK_REVOKED, now)
            elif not session.outbox.has_waiting_state:
                version = {SHARED_LIST: versions[token_hash]}
                session.outbox.send(changed_lists(session.list_versions, version))
                session.list_versions = version


@sync_to_async
def read_shared_versions(token_hashes: Iterable[str]) -> dict[str, int]:
    """Returns a dict from the token hash of each valid link to the version of its list.

    Revoked links are missing. Raises django.db.DatabaseError.
    """
    close_old_connections()
    links = ShareLink.objects.filter(token_hash__in=list(token_hashes), watchlist__owner__is_active=True)
    return dict(links.values_list("token_hash", "watchlist__version"))
