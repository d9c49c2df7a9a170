"""Defines the inputs and the results of the evaluation of alerts. Pure.

Timestamps are in unix microseconds. An order is a pair (timestamp, seq_id).
"""

import msgspec

from watchlist.alert_kinds import Kind, Repeat, Side, State

Order = tuple[int, int]

Close = tuple[int, int, float]
"""The last update of a bar, which lasts a second or a minute: timestamp, seq_id and price."""


class AlertRecord(msgspec.Struct, frozen=True, gc=False):
    """An active alert as the database holds it.

    `value` is the level or the percent of the condition, and `window_seconds` the length of its window; both are 0 if
    the kind has none. `since` is the order of the update at which the alert was last armed or last fired. `expires` is
    0 if the alert never expires.
    """

    id: int
    version: int
    symbol: str
    kind: Kind
    value: float
    repeat: Repeat = Repeat.ONCE
    cooldown_seconds: int = 0
    expires: int = 0
    side: Side = Side.NONE
    arming: int = 0
    since: Order = (0, 0)
    silent_until: int = 0
    window_seconds: int = 0


class AlertChange(msgspec.Struct, frozen=True, gc=False):
    """The new state of an alert. `version` is the version of the alert before the change."""

    id: int
    version: int
    state: State
    side: Side
    arming: int
    since: Order
    silent_until: int


class FiringEvent(msgspec.Struct, frozen=True, gc=False):
    """The event that the condition of an alert became true. `watchlist.alert_models.Firing` explains the fields.

    `received_ms` is the time at which Kafka got the update, in unix milliseconds; 0 if it is unknown. `armed_at` is the
    time of the update at which the alert was armed.
    """

    alert_id: int
    arming: int
    side: Side
    level: float | None
    reference: float | None
    price: float
    timestamp: int
    seq_id: int
    source: str
    late: bool
    received_ms: int
    symbol: str = ""
    armed_at: int = 0


class Progress(msgspec.Struct, frozen=True, gc=False):
    """What the evaluation knows about a symbol. `watchlist.alert_models.AlertProgress` explains the fields."""

    symbol: str
    price: float
    timestamp: int
    seq_id: int
    source: str
    day: int
    reference: float | None
    day_high: float | None = None
    day_low: float | None = None
    past_high: float | None = None
    past_low: float | None = None
