"""Describes missed trades of one symbol, and counts what happens to trades. Pure."""

import msgspec

from feeds.sources.events import Trade


class Gap(msgspec.Struct, frozen=True):
    """The trades between `after` and `until` that did not arrive.

    `missing` is the number of these trades; 0 if the number is unknown. `after` and `until` may be stand-ins, see
    `with_sequence`. `is_open` says that `until` has not come yet, so that the time of `until` is unknown.
    """

    after: Trade
    until: Trade
    missing: int = 0
    is_open: bool = False


class Counts(msgspec.Struct):
    """What happened to the trades of one or more symbols since the last `take`."""

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
    """Returns the sequence of a trade, or 0 if it has none."""
    return trade.sequence or 0


def is_after(trade: Trade, other: Trade) -> bool:
    """Returns whether a trade comes after another one in the order of the source."""
    if trade.sequence is not None and other.sequence is not None:
        return trade.sequence > other.sequence
    return trade.timestamp >= other.timestamp


def with_sequence(trade: Trade, sequence: int) -> Trade:
    """Returns a stand-in for the trade with this sequence.

    The stand-in has the native symbol and the time of `trade`, and no price.
    """
    return Trade(trade.native, 0.0, 0.0, trade.timestamp, str(sequence), sequence)


def neighbour(trade: Trade, distance: int) -> Trade:
    """Returns a stand-in for the trade before or after `trade`. `distance` is -1 or 1."""
    if trade.sequence is not None:
        return with_sequence(trade, trade.sequence + distance)
    return Trade(trade.native, 0.0, 0.0, trade.timestamp + distance, "")
