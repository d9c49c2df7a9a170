"""Runs queries on bars in short transactions, and translates the errors of the database."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

from feeds.errors import BarArchiveUnavailable
from feeds.models import translate_database_errors

# During a transaction no other process can write to SQLite.
ROWS_PER_TRANSACTION = 1_000
"""How many rows one transaction writes at most. Such a transaction takes about 10 ms."""

KEYS_PER_QUERY = 500

Item = TypeVar("Item")


def translate_errors() -> AbstractContextManager[None]:
    """Turns database errors into BarArchiveUnavailable."""
    return translate_database_errors(BarArchiveUnavailable, "bars")


def chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Splits items into sequences of at most `size` items."""
    return (items[at : at + size] for at in range(0, len(items), size))
