"""Hashes passwords with Argon2id. Limits simultaneous hashes, because each needs 100 MiB of memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher

from watchlist.errors import TooManyHashes

WAIT_SECONDS = 5.0
"""The longest time that a request waits before its password is hashed."""


class HashLimit:
    """Lets at most `max_hashes` threads hash at the same time."""

    def __init__(self, max_hashes: int, wait_seconds: float = WAIT_SECONDS) -> None:
        self._free = BoundedSemaphore(max_hashes)
        self.wait_seconds = wait_seconds

    @contextmanager
    def take(self) -> Iterator[None]:
        """Waits until a hash may begin, then runs the `with` block. Raises TooManyHashes after `wait_seconds`."""
        if not self._free.acquire(timeout=self.wait_seconds):
            raise TooManyHashes("too many passwords are being checked at once: try again in a moment")
        try:
            yield
        finally:
            self._free.release()


PROCESS_LIMIT = HashLimit(settings.PASSWORD_HASHES)


class LimitedArgon2Hasher(Argon2PasswordHasher):
    """Django's Argon2 hasher, with a limit of simultaneous hashes in the process.

    A stored hash does not contain the name of this class, so Django's own Argon2 hasher can verify the hash too.
    """

    def encode(self, password: str, salt: str) -> str:
        with PROCESS_LIMIT.take():
            encoded: str = super().encode(password, salt)
        return encoded

    def verify(self, password: str, encoded: str) -> bool:
        with PROCESS_LIMIT.take():
            is_right: bool = super().verify(password, encoded)
        return is_right
