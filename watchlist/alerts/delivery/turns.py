"""Defines what the sender delivers to one receiver at a time. Pure."""

from datetime import datetime

import msgspec

from watchlist.alert_kinds import Channel
from watchlist.alerts.delivery.outcomes import Outcome


class DueFiring(msgspec.Struct, frozen=True):
    """A firing to deliver, with its alert. `watchlist.alert_models` explains the fields.

    `attempts` counts the earlier attempts. `fired_level` is the level that the price reached, `level` the level of the
    alert's condition.
    """

    delivery_pk: int
    attempts: int
    key: str
    alert_pk: int
    symbol: str
    decimals: int
    kind: str
    level: float | None
    percent: float | None
    window_seconds: int | None
    repeat: str
    note: str
    fired_level: float | None
    reference: float | None
    price: float
    timestamp: int
    seq_id: int
    source: str
    late: bool
    blind_us: int | None
    received_at: datetime | None
    evaluated_at: datetime
    recorded_at: datetime


class Receiver(msgspec.Struct, frozen=True):
    """Where an account gets its firings by one channel.

    `address` is the e-mail address or the URL. `keys` are the secrets of a webhook. `zone` is the account's time zone.
    """

    owner_pk: int
    channel: Channel
    address: str
    keys: tuple[str, ...] = ()
    zone: str = "UTC"


class Turn(msgspec.Struct, frozen=True):
    """What one sender delivers to one receiver before it goes on with another receiver.

    `lane` is the key of the lease that keeps other senders from the receiver. `test` is the id of the test message that
    the person asked for; empty if there is none. `failures` counts the last attempts in a row at which the receiver
    took no messages.
    """

    lane: str
    receiver: Receiver
    firings: tuple[DueFiring, ...]
    test: str = ""
    failures: int = 0


class Report(msgspec.Struct, frozen=True):
    """The outcome of one attempt, which may concern several firings and the test message."""

    turn: Turn
    firings: tuple[DueFiring, ...]
    is_test: bool
    outcome: Outcome
