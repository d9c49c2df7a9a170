"""Stores web sessions so that concurrent requests do not undo each other's changes.

Django's store writes all keys of a session. This store locks the row of the session, and writes only the keys that the
request changed.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.backends.db import SessionStore as DatabaseSessionStore
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.utils import timezone

from watchlist.errors import SessionEnded

PROLONG_AFTER = timedelta(days=1)
"""The shortest time after which a session can be prolonged again."""
MISSING = object()


# Each page of a person with a session makes this query. Django would need longer to build it than the database needs to
# answer it.
SELECT_SESSION = """
SELECT session_data, expire_date FROM django_session WHERE session_key = %s AND expire_date > %s
"""


class SessionStore(DatabaseSessionStore):
    """A web session in the database.

    Do not rename the class: its name is part of the signature of stored sessions.
    """

    _stored_text = ""
    """The encoded session data, as they were when this request last read or wrote the database row."""
    _expires: datetime | None = None

    def load(self) -> dict[str, Any]:
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        with connection.cursor() as cursor:
            cursor.execute(SELECT_SESSION, [self.session_key, now])
            row = cursor.fetchone()
        if row is None:
            self._session_key = None
            return {}
        # SQLite returns UTC without a time zone.
        self._stored_text, self._expires = row[0], row[1].replace(tzinfo=row[1].tzinfo or UTC)
        return self.decode(self._stored_text)

    @property
    def can_be_prolonged(self) -> bool:
        """Whether the session was last prolonged more than PROLONG_AFTER ago.

        For a session that lives less than two days, half of its lifetime replaces PROLONG_AFTER. False if this request
        read no session.
        """
        age = timedelta(seconds=self.get_session_cookie_age())
        return self._expires is not None and self._expires < timezone.now() + age - min(PROLONG_AFTER, age / 2)

    def lock(self) -> None:
        """Locks the session and reads the changes of other requests.

        Other requests wait until the transaction ends. Raises SessionEnded if another request deleted the session.
        """
        self._get_session()  # type: ignore[attr-defined]  # finds out whether the key is valid
        if self.session_key is not None and not self._read_again():
            raise SessionEnded("Your session has ended in another tab. Nothing was changed. Reload the page.")

    def save(self, must_create: bool = False) -> None:
        """Stores the session. Raises UpdateError if another request deleted the session."""
        if must_create or self.session_key is None:
            super().save(must_create)
            self._remember()
            return
        with transaction.atomic():
            if not self._read_again():
                raise UpdateError
            super().save()
        self._remember()

    def _read_again(self) -> bool:
        """Locks and reads the row of the session. Merges the changes of this request into the data that were read.

        Returns whether the row exists.
        """
        row = Session.objects.select_for_update().filter(session_key=self.session_key).first()
        if row is None:
            return False
        before = self.decode(self._stored_text) if self._stored_text else {}
        self._session_cache = merge_changes(before, self._get_session(), self.decode(row.session_data))  # type: ignore[attr-defined]
        self._stored_text, self._expires = row.session_data, row.expire_date
        return True

    def _remember(self) -> None:
        self._stored_text = self.encode(self._get_session(no_load=True))  # type: ignore[attr-defined]
        self._expires = self.get_expiry_date()


def merge_changes(before: Mapping[str, Any], own: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a copy of `stored`, the session data in the database, with the changes of this request.

    `before` is the session data that the request read. `own` is the same data after the changes of the request.
    """
    merged = dict(stored)
    for key in before.keys() | own.keys():
        if own.get(key, MISSING) == before.get(key, MISSING):
            continue
        if key in own:
            merged[key] = own[key]
        else:
            merged.pop(key, None)
    return merged
