"""Writes the `alert` frame about a firing. Pure."""

import msgspec

from watchlist.alert_kinds import Kind
from watchlist.formatting.numbers import write_number
from watchlist.gateway.messages import StateMessage, make_state


class RecentFiring(msgspec.Struct, frozen=True, gc=False):
    """A firing with the facts about its alert and ticker that a client shows.

    `percent` and `window_seconds` are None if the kind of the alert does not use them. `level` and `price` are in the
    currency of the ticker. `timestamp` is the time of the update, and `recorded_at` the time of the firing, in unix
    microseconds. `late` says that a newer update of the symbol had arrived before the update that caused the firing.
    """

    id: int
    account: int
    alert: int
    symbol: str
    decimals: int
    kind: str
    note: str
    percent: float | None
    window_seconds: int | None
    level: float | None
    price: float
    timestamp: int
    recorded_at: int
    late: bool


def make_alert_message(firing: RecentFiring, *, has_more: bool = False) -> StateMessage:
    """Returns the message about a firing. `has_more` says that older firings exist that the client does not get."""
    payload = {
        "type": "alert",
        "id": firing.id,
        "alert": firing.alert,
        "symbol": firing.symbol,
        "text": write_condition(firing),
        "note": firing.note,
        # Not `price` and `timestamp`: clients take a frame with these keys for an update.
        "reached": firing.price,
        "decimals": firing.decimals,
        "updated_at": firing.timestamp,
        "fired_at": firing.recorded_at,
        "late": firing.late,
        "more": has_more,
    }
    return make_state(f"alert {firing.id}", msgspec.json.encode(payload))


def write_condition(firing: RecentFiring) -> str:
    """Returns the text of the condition that became true, such as `at or above 230.00`.

    Returns a general text if the kind of the alert is unknown.
    """
    level = "" if firing.level is None else write_number(firing.level, firing.decimals)
    percent = abs(firing.percent or 0.0)
    move = f"{'up' if (firing.percent or 0.0) >= 0 else 'down'} {percent:,.12g}% or more"
    texts: dict[str, str] = {
        Kind.UP: f"at or above {level}",
        Kind.DOWN: f"at or below {level}",
        Kind.EITHER: f"reached {level}",
        Kind.DAY_PERCENT: f"{move} on the day",
        Kind.WINDOW_PERCENT: f"{move} within {write_duration(firing.window_seconds or 0)}",
        Kind.DAY_HIGH: "a new high of the day",
        Kind.DAY_LOW: "a new low of the day",
        Kind.YEAR_HIGH: "a new 52-week high",
        Kind.YEAR_LOW: "a new 52-week low",
        Kind.NO_PRICE: f"no price for {write_duration(firing.window_seconds or 0)}",
    }
    return texts.get(firing.kind, "the condition is true")


def write_duration(seconds: int) -> str:
    """Returns a duration in the largest unit that leaves no rest, such as `90 s`, `5 min` or `2 h`."""
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds and seconds % unit == 0:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
