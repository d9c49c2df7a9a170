"""A record of the topic, and the update in it. Pure."""

from typing import Protocol

from feeds.errors import BadRecord
from feeds.wire import Update, decode


class Record(Protocol):
    """One record of the topic, as the Kafka client hands it over."""

    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def timestamp(self) -> tuple[int, int]: ...


def read_update(key: bytes | None, value: bytes | None) -> Update:
    """The update in a record. Raises BadRecord when it has none, or one of another symbol than its key."""
    if value is None:
        raise BadRecord("the value is null", "null")
    update = decode(value)
    if key is None:
        raise BadRecord("the record has no key; it must be the symbol", "key")
    if update.symbol.encode() != key:
        raise BadRecord("the key is not the symbol of the value", "key")
    return update
