"""Describes missed trades of one symbol, and counts what happens to trades. Pure."""

import msgspec

from feeds.sources.events import Trade


class Gap(msgspec.Struct, frozen=True):
    """The missed trades of one symbol between the trades `after` and `until`.

    `after` and `until` may be placeholders. A placeholder stands for a trade of which only the place in the source's
    order is known. `missing` is the number of missed trades; 0 if unknown. If `is_open` is true, the trade `until`
    has not arrived yet.
    """

    after: Trade
    until: Trade
    missing: int = 0
    is_open: bool = False


class Counts(msgspec.Struct):
    """Counts what happened to the trades of a source.

    `past` counts past trades that were not published because the feed of their symbol began with a newer trade. The
    metrics in `feeds.metrics` explain the other fields: for example, FEED_REPEATS explains `repeats`.
    """

    trades: int = 0
    repeats: int = 0
    past: int = 0
    ignored: int = 0
    gaps: int = 0
    jumps: int = 0
    missed: int = 0
    fetched: int = 0
    unfilled: int = 0
    merged: int = 0


def sequence_of(trade: Trade) -> int:
    """Returns the sequence number of a trade, or 0 if the trade has none."""
    return trade.sequence or 0


def is_after(trade: Trade, other: Trade) -> bool:
    """Returns whether `trade` comes after `other` in the order of the source."""
    if trade.sequence is not None and other.sequence is not None:
        return trade.sequence > other.sequence
    return trade.timestamp >= other.timestamp


def with_sequence(trade: Trade, sequence: int) -> Trade:
    """Returns a placeholder for a trade of which only the sequence number is known.

    The placeholder has the native symbol and the time of `trade`. Its price and size are 0.
    """
    return Trade(trade.native, 0.0, 0.0, trade.timestamp, str(sequence), sequence)


def neighbour(trade: Trade, distance: int) -> Trade:
    """Returns a placeholder for the trade directly before or after `trade`.

    `distance` is -1 for the trade before `trade`, and 1 for the trade after `trade`.
    """
    if trade.sequence is not None:
        return with_sequence(trade, trade.sequence + distance)
    return Trade(trade.native, 0.0, 0.0, trade.timestamp + distance, "")
