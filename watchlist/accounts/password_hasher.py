"""Hashes passwords with Argon2id, a few at a time, because each hash needs 100 MiB of memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher

from watchlist.errors import TooManyHashes

WAIT_SECONDS = 5.0
"""How long a request waits until another one has hashed its password."""


class HashLimit:
    """Lets at most `max_hashes` threads hash at the same time."""

    def __init__(self, max_hashes: int, wait_seconds: float = WAIT_SECONDS) -> None:
        self._free = BoundedSemaphore(max_hashes)
        self.wait_seconds = wait_seconds

    @contextmanager
    def take(self) -> Iterator[None]:
        """Waits until a hash may begin. Raises TooManyHashes after `wait_seconds`."""
        if not self._free.acquire(timeout=self.wait_seconds):
            raise TooManyHashes("too many passwords are being checked at once: try again in a moment")
        try:
            yield
        finally:
            self._free.release()


PROCESS_LIMIT = HashLimit(settings.PASSWORD_HASHES)


class LimitedArgon2Hasher(Argon2PasswordHasher):
    """Django's Argon2 hasher, within the limit of the process.

    Stored hashes do not contain the name of this class, so they stay valid without it.
    """

    def encode(self, password: str, salt: str) -> str:
        with PROCESS_LIMIT.take():
            encoded: str = super().encode(password, salt)
        return encoded

    def verify(self, password: str, encoded: str) -> bool:
        with PROCESS_LIMIT.take():
            is_right: bool = super().verify(password, encoded)
        return is_right
