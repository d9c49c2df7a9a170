"""Makes the rows of the table of alerts, and sorts them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from watchlist.alert_kinds import Kind, Repeat, Side, State
from watchlist.alert_models import Alert
from watchlist.alerts.account_alerts import ListedAlert
from watchlist.alerts.conditions import LEVEL_KINDS
from watchlist.alerts.kinds.listed_levels import condition_of
from watchlist.formatting.moments import write_moment
from watchlist.formatting.numbers import NO_VALUE, write_number
from watchlist.formatting.numerals import ENGLISH, Numerals
from watchlist.page.alerts.words import CHANNEL_NAMES, write_condition, write_distance, write_repeat

BLIND = "blind"
"""The state that a page shows for an active alert that cannot fire now."""

STATE_NAMES = {
    State.ACTIVE: "Active",
    BLIND: "Blind",
    State.FAILED: "Failed",
    State.FIRED: "Fired",
    State.PAUSED: "Paused",
    State.EXPIRED: "Expired",
}
"""The states that a page shows, in the order of their rows."""

STATE_RANKS = {state: rank for rank, state in enumerate((State.FAILED, State.ACTIVE, *list(STATE_NAMES)[3:]))}
ARMED_KINDS = LEVEL_KINDS | {Kind.DAY_PERCENT}
"""The kinds whose alerts fire when the price reaches a level.

If the price is beyond the level, such an alert is not armed: the alert cannot fire until the price has come back.
"""

NOT_ARMED = "Armed when the price has come back."
WITHOUT_PRICE = "Armed at the first price."
RESUMABLE = frozenset({State.PAUSED, State.FIRED, State.FAILED})
DEFAULT_SORT = "nearest"


@dataclass(frozen=True, slots=True)
class Style:
    """How a person's pages show times and numbers. `now` is the time of the request."""

    now: datetime
    zone: tzinfo = UTC
    numerals: Numerals = ENGLISH

    def write_time(self, moment: datetime) -> str:
        return write_moment(moment, self.now, self.zone)


@dataclass(frozen=True, slots=True)
class AlertRow:
    """A row of the table of alerts. The fields from `condition` on are texts to show.

    `state` is a key of STATE_NAMES. `reason` says why the alert cannot fire now, or has failed. `level` is empty if
    `condition` contains the level, or if the level is unknown. Other texts are empty if there is nothing to show.
    """

    alert: Alert
    state: str
    condition: str
    reason: str
    price: str
    level: str
    distance: str
    repeat: str
    expiry: str
    channels: Sequence[str]
    fired: str

    @property
    def state_name(self) -> str:
        return STATE_NAMES[self.state]

    @property
    def can_pause(self) -> bool:
        return self.state in {State.ACTIVE, BLIND}

    @property
    def can_resume(self) -> bool:
        return self.state in RESUMABLE


def make_alert_row(listed: ListedAlert, style: Style) -> AlertRow:
    alert, decimals = listed.alert, listed.alert.ticker.decimals
    names_level = alert.kind in LEVEL_KINDS or listed.level is None
    return AlertRow(
        alert,
        find_state(listed),
        describe_condition(alert, style.numerals),
        _find_reason(listed),
        NO_VALUE if listed.price is None else write_number(listed.price, decimals, style.numerals),
        "" if names_level else write_number(listed.level or 0.0, decimals, style.numerals),
        write_distance(listed.distance_percent, style.numerals),
        write_repeat(Repeat(alert.repeat), alert.cooldown_seconds),
        "" if alert.expires_at is None else style.write_time(alert.expires_at),
        [CHANNEL_NAMES[channel] for channel in alert.channels],
        "" if listed.last_firing is None else style.write_time(moment_of(listed.last_firing.timestamp)),
    )


def find_state(listed: ListedAlert) -> str:
    """Returns the state to show: a key of STATE_NAMES."""
    if listed.is_expired and listed.alert.state == State.ACTIVE:
        return State.EXPIRED
    return BLIND if listed.blind else State(listed.alert.state)


def _find_reason(listed: ListedAlert) -> str:
    alert = listed.alert
    if listed.blind or alert.state_reason or find_state(listed) != State.ACTIVE:
        return listed.blind or alert.state_reason
    is_armed = alert.side != Side.NONE or alert.kind not in ARMED_KINDS
    return "" if is_armed else NOT_ARMED if listed.price is not None else WITHOUT_PRICE


def describe_condition(alert: Alert, numerals: Numerals = ENGLISH) -> str:
    """Returns the condition of an alert as words, such as `rises to 200.00`."""
    condition = condition_of(alert)
    return write_condition(condition.kind, condition.value, condition.window_seconds, alert.ticker.decimals, numerals)


def describe_alert(alert: Alert, numerals: Numerals = ENGLISH) -> str:
    """Returns the symbol and the condition of an alert, such as `AAPL rises to 200.00`."""
    return f"{alert.ticker.symbol} {describe_condition(alert, numerals)}"


def moment_of(timestamp: int) -> datetime:
    """Returns the time of an update. `timestamp` is in unix microseconds."""
    return datetime.fromtimestamp(timestamp / 1_000_000, UTC)


def _rank_by_distance(listed: ListedAlert) -> Any:
    distance = listed.distance_percent
    return distance is None, abs(distance or 0.0)


def _rank_by_state(listed: ListedAlert) -> Any:
    state = find_state(listed)
    return STATE_RANKS[State.ACTIVE if state == BLIND else State(state)]


SORTS: Mapping[str, tuple[str, Callable[[ListedAlert], Any]]] = {
    DEFAULT_SORT: ("Nearest", lambda listed: (_rank_by_state(listed), *_rank_by_distance(listed))),
    "symbol": ("Symbol", lambda listed: (listed.alert.ticker.symbol, *_rank_by_distance(listed))),
    "newest": ("Newest", lambda listed: -listed.alert.pk),
    "fired": ("Last fired", lambda listed: -(listed.last_firing.timestamp if listed.last_firing else 0)),
}
"""The orders that the page offers, with the label and the sort key of each."""


def sort_alerts(listed: Sequence[ListedAlert], sort: str) -> list[ListedAlert]:
    """Returns the alerts in an order of SORTS. An unknown order means DEFAULT_SORT."""
    return sorted(listed, key=SORTS.get(sort, SORTS[DEFAULT_SORT])[1])
