"""Divides pending updates into groups in which each symbol has one source. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from feeds.records import Span
from feeds.wire import Update


class PendingUpdate(NamedTuple):
    """An update whose bars are not loaded yet, with its source and its Kafka partition.

    `missed` are the missed spans that the record of the update names.
    """

    update: Update
    source: str
    partition: int
    missed: tuple[Span, ...] = ()


class Group(NamedTuple):
    """Some updates in the order of the topic, and a dict from symbol to source."""

    updates: Sequence[PendingUpdate]
    sources: dict[str, str]


def first_group(pending: Sequence[PendingUpdate]) -> Group:
    """Returns the first updates of `pending`, up to the first update whose symbol changes its source."""
    sources: dict[str, str] = {}
    for place, (update, source, *_) in enumerate(pending):
        if sources.setdefault(update.symbol, source) != source:
            return Group(pending[:place], sources)
    return Group(pending, sources)
