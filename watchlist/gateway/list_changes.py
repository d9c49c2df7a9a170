"""Sends `list` frames to signed-in clients when a list of their account has changed.

The database is read once per second, with three queries for all signed-in sockets together. A socket receives no more
`list` frames after the end of its web session. A web session ends when it expires or is deleted, when the password of
the account changes, or when the account is deactivated.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping

import msgspec
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session as StoredSession
from django.db import close_old_connections
from django.utils import timezone

from watchlist.gateway.database import DatabaseMonitor
from watchlist.gateway.messages import StateMessage, make_state
from watchlist.gateway.protocol import CloseCode
from watchlist.gateway.sockets.connections import Connections
from watchlist.gateway.web_sessions import AccountSession, find_account_session
from watchlist.models import Watchlist

READ_SECONDS = 1.0

Versions = Mapping[int, int]
"""The version of each list of an account, by the id of the list."""


class ListChanges:
    """Watches the lists of all signed-in accounts, and sends `list` frames.

    If `private` is True, a socket is closed when its web session ends. If `private` is False, the socket stays open.
    `follow` calls `then` after each reading of the database. At that time, a socket whose web session has ended is
    already treated as signed out.
    """

    def __init__(
        self,
        database: DatabaseMonitor,
        connections: Connections,
        private: bool = False,
        then: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._then = then
        self._database = database
        self._connections = connections
        self._private = private

    async def follow(self) -> None:
        """Reads the lists every second and sends changes, until this task is cancelled.

        Pauses while the database is unavailable.
        """
        await self._database.repeat(READ_SECONDS, self._read_and_send, "lists")

    async def _find_accounts(self) -> None:
        """Looks up each web session whose look-up failed when the client connected."""
        for session in list(self._connections.sessions):
            if (key := session.unverified_key) is not None:
                session.account_session = await find_account_session(key)
                session.unverified_key = None

    async def _read_and_send(self) -> None:
        await self._find_accounts()
        sessions = self._connections.sessions
        read = {session.account_session for session in sessions if session.account_session is not None}
        if read:
            self.send_changes(read, await read_versions(read))
        if self._then is not None:
            await self._then()

    def send_changes(self, read: set[AccountSession], versions: Mapping[AccountSession, Versions]) -> None:
        """Sends a `list` frame for each changed list to the signed-in sockets with `?meta=1`.

        `read` holds the web sessions that were looked up in the database. `versions` maps a web session to the versions
        of the account's lists. A web session has ended if it is in `read`, but not in `versions`.
        """
        for session in list(self._connections.sessions):
            account_session = session.account_session
            if account_session is None:
                continue
            if account_session in versions:
                # A socket with an unsent state message gets its frames in a later call.
                if session.options.follows_account and not session.outbox.has_waiting_state:
                    session.outbox.send(changed_lists(session.list_versions, versions[account_session]))
                    session.list_versions = versions[account_session]
            elif account_session in read:
                session.account_session, session.list_versions = None, {}
                if self._private:
                    session.close(CloseCode.SIGN_IN, self._connections.context.clock.now())


@sync_to_async
def read_versions(account_sessions: Iterable[AccountSession]) -> dict[AccountSession, Versions]:
    """Returns a dict from web session to the versions of the account's lists.

    Web sessions that have ended are missing. Raises django.db.DatabaseError.
    """
    close_old_connections()
    account_sessions = list(account_sessions)
    keys = {account_session.key for account_session in account_sessions}
    stored = StoredSession.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
    alive = set(stored.values_list("session_key", flat=True))
    versions: dict[int, dict[int, int]] = {}
    owners = _read_password_hashes(each.account for each in account_sessions if each.key in alive)
    # Another hash means that the password has changed since the sign-in.
    valid = [each for each in account_sessions if each.key in alive and owners.get(each.account) == each.password_hash]
    for owner, number, version in Watchlist.objects.filter(owner__in={each.account for each in valid}).values_list(
        "owner_id", "id", "version"
    ):
        versions.setdefault(owner, {})[number] = version
    return {each: versions.get(each.account, {}) for each in valid}


def _read_password_hashes(accounts: Iterable[int]) -> dict[int, str]:
    """Returns the password hash of each active account, by the id of the account."""
    users = get_user_model().objects.filter(pk__in=set(accounts), is_active=True).only("password")
    return {user.pk: user.get_session_auth_hash() for user in users}


def changed_lists(before: Versions, now: Versions) -> list[StateMessage]:
    """Returns a `list` message for each list whose version differs between `before` and `now`.

    The message for a deleted list has version 0.
    """
    changed = [(number, version) for number, version in now.items() if before.get(number) != version]
    changed += [(number, 0) for number in before if number not in now]
    return [
        make_state(f"list {number}", msgspec.json.encode({"type": "list", "id": number, "version": version}))
        for number, version in changed
    ]
