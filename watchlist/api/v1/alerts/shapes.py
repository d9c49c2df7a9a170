"""Defines the shapes of requests and answers about alerts, from which the document of the API is made."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any

from ninja import Schema
from pydantic import Field

from watchlist.alert_kinds import Channel, DeliveryState, Kind, Repeat, State
from watchlist.alerts.conditions import (
    CREATABLE,
    MAX_COOLDOWN_SECONDS,
    MAX_LIFETIME,
    MAX_NOTE_LENGTH,
    MAX_WINDOW_SECONDS,
    MIN_COOLDOWN_SECONDS,
    MINUTE_SECONDS,
)
from watchlist.api.v1.queries import NEXT_PAGE
from watchlist.api.v1.schemas import WHOLE, Exact, Microseconds, Word

MAX_FIRINGS = 200
MAX_MICROSECONDS = 253_402_300_799_000_000
"""The last second of the year 9999, which is the last year that Python knows."""


def one_of(members: Iterable[StrEnum]) -> Any:
    """Returns the rule that a text is one of these members of an enumeration."""
    texts: list[Any] = [member.value for member in members]
    return Field(pattern=f"^({'|'.join(texts)})$", json_schema_extra={"enum": texts})


CreatableKind = Annotated[str, one_of(CREATABLE)]
KindName = Annotated[str, one_of(Kind)]
RepeatName = Annotated[str, one_of(Repeat)]
StateName = Annotated[str, one_of(State)]
WantedState = Annotated[str, one_of((State.ACTIVE, State.PAUSED))]
ChannelName = Annotated[str, one_of(Channel)]
DeliveryStateName = Annotated[str, one_of(DeliveryState)]
Note = Annotated[str, Field(max_length=2 * MAX_NOTE_LENGTH)]
Value = Annotated[
    float | None,
    Field(
        allow_inf_nan=False,
        description="A level in the currency of the ticker, or a percentage, positive for a rise; "
        "null for kinds that have neither.",
    ),
]
Window = Annotated[
    int | None,
    Field(ge=MINUTE_SECONDS, le=MAX_WINDOW_SECONDS, description="Whole minutes, for window_percent and no_price only."),
    WHOLE,
]
Cooldown = Annotated[
    int,
    Field(
        ge=MIN_COOLDOWN_SECONDS,
        le=MAX_COOLDOWN_SECONDS,
        description="The shortest time between two firings, if `repeat` is `each`.",
    ),
    WHOLE,
]
Expiry = Annotated[
    int | None,
    Field(
        ge=0,
        le=MAX_MICROSECONDS,
        description=f"Unix microseconds, in the future, at most {MAX_LIFETIME.days} days from now; null for never.",
    ),
    WHOLE,
]


class NewAlert(Exact):
    symbol: Word
    kind: CreatableKind
    value: Value = None
    window_seconds: Window = None
    repeat: RepeatName = Repeat.ONCE.value
    cooldown_seconds: Cooldown = 300
    expires_at: Expiry = None
    note: Note = ""
    channels: list[ChannelName] = Field(
        default_factory=lambda: [Channel.PAGE.value],
        min_length=1,
        max_length=len(Channel),
        description="How firings are delivered. By the page only if missing.",
    )


class AlertChanges(Exact):
    """The new values of an alert. Values that are missing or null do not change."""

    state: WantedState | None = Field(
        None, description="`paused` pauses an active alert. `active` resumes a paused, fired or failed alert."
    )
    note: Note | None = None


class AlertInfo(Exact):
    """An alert of the account. Prices that are unknown are null."""

    id: int
    symbol: str
    kind: KindName
    value: float | None = Field(description="A level, or a percentage; null for kinds that have neither.")
    window_seconds: int | None
    repeat: RepeatName
    cooldown_seconds: int
    expires_at: Microseconds | None
    note: str
    channels: list[ChannelName]
    state: StateName
    state_reason: str
    created_at: Microseconds
    level: float | None = Field(description="The price at which the alert fires now.")
    price: float | None
    distance_percent: float | None = Field(description="How far the price must move to the level.")
    last_fired_at: Microseconds | None
    blind: str = Field(description="Why the alert cannot fire now; empty if it can, or if it is not active.")


class Alerts(Exact):
    alerts: list[AlertInfo]


class ChangedAlert(Exact):
    """An alert after a change."""

    alert: AlertInfo
    is_true: bool = Field(
        description="The condition was true already. The alert fires when the price has come back and reaches it again."
    )


class DeliveryInfo(Exact):
    """How a firing was sent by one channel."""

    channel: ChannelName
    state: DeliveryStateName
    attempts: int
    last_error: str
    next_attempt_at: Microseconds | None = Field(description="null unless the state is `waiting`.")
    done_at: Microseconds | None


class FiringInfo(Exact):
    """One event: the condition of an alert became true."""

    id: int
    key: str = Field(description="The idempotency key, the same in every delivery of the firing.")
    alert: int
    symbol: str
    kind: KindName
    level: float | None
    reference: float | None = Field(description="The reference price of the day.")
    price: float
    timestamp: Microseconds
    seq_id: int
    source: str
    late: bool = Field(description="A newer update of the symbol had arrived before.")
    blind_seconds: float | None = Field(
        description="How long the alert was blind since it was armed; null if this is unknown."
    )
    recorded_at: Microseconds
    deliveries: list[DeliveryInfo]


class Firings(Exact):
    firings: list[FiringInfo]
    next_page_token: str | None = Field(description="Send it as `page_token` to get the next page; null at the end.")


class FiringQuery(Schema):
    limit: int = Field(50, ge=1, le=MAX_FIRINGS, description="The maximum number of firings of a page.")
    page_token: str | None = Field(None, max_length=18, pattern=r"^[0-9]{1,18}$", description=NEXT_PAGE)
