"""Groups updates that can be added to bars together. Pure.

In a group, all updates of a symbol come from the same source.
"""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from feeds.records import Span
from feeds.wire import Update


class PendingUpdate(Struct, frozen=True, gc=False):
    """An update that is not in bars yet, with its source and its Kafka partition.

    `missed` holds spans of time in which trades were lost. The headers of the Kafka record list these spans.
    """

    update: Update
    source: str
    partition: int
    missed: tuple[Span, ...] = ()


class Group(NamedTuple):
    """Consecutive updates. All updates of a symbol come from one source: `sources` is a dict from symbol to source."""

    updates: Sequence[PendingUpdate]
    sources: dict[str, str]


def first_group(pending: Sequence[PendingUpdate]) -> Group:
    """Returns the longest group at the beginning of `pending`."""
    sources: dict[str, str] = {}
    for place, each in enumerate(pending):
        if sources.setdefault(each.update.symbol, each.source) != each.source:
            return Group(pending[:place], sources)
    return Group(pending, sources)
