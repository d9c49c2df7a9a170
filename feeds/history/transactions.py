"""Runs queries on bars in short transactions, and translates the errors of the database."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from django.db import Error, connection

from feeds.errors import BarArchiveUnavailable

# During a transaction no other process can write to SQLite.
ROWS_PER_TRANSACTION = 1_000
"""How many rows one transaction writes at most. Such a transaction takes about 10 ms."""

KEYS_PER_QUERY = 500

Item = TypeVar("Item")


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turns database errors into BarArchiveUnavailable."""
    try:
        yield
    except Error as error:
        # Django replaces a broken connection only at the end of a request. Without this call no later query would
        # succeed.
        connection.close()
        raise BarArchiveUnavailable(
            f"bars cannot be read or written ({str(error).splitlines()[0]}); has `manage.py migrate` been run?"
        ) from error


def chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Splits items into sequences of at most `size` items."""
    return (items[at : at + size] for at in range(0, len(items), size))
