"""Divides updates that are not in bars yet into groups in which each symbol has one source. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from feeds.records import Span
from feeds.wire import Update


class PendingUpdate(NamedTuple):
    """An update that is not in bars yet, with its source and its Kafka partition.

    `missed` holds the spans of time in which trades were lost, from the headers of the Kafka record.
    """

    update: Update
    source: str
    partition: int
    missed: tuple[Span, ...] = ()


class Group(NamedTuple):
    """Consecutive updates in which each symbol has one source. `sources` is a dict from symbol to source."""

    updates: Sequence[PendingUpdate]
    sources: dict[str, str]


def first_group(pending: Sequence[PendingUpdate]) -> Group:
    """Returns the longest group at the beginning of `pending`."""
    sources: dict[str, str] = {}
    for place, (update, source, *_) in enumerate(pending):
        if sources.setdefault(update.symbol, source) != source:
            return Group(pending[:place], sources)
    return Group(pending, sources)
