"""Names the kinds, repeats, states and delivery channels of alerts. Pure.

The database and the API use these texts. No text may change.
"""

from enum import IntEnum, StrEnum


class Kind(StrEnum):
    """What an alert watches.

    UP, DOWN and EITHER watch a price level. DAY_PERCENT watches the change from the reference price: a positive percent
    is a rise, a negative percent is a fall. WINDOW_PERCENT watches the change within a window of time. The highs and
    lows are those of the market day or of 52 weeks. NO_PRICE watches the time since the last update. docs/alerts.md
    defines each kind. `alerts.conditions.CREATABLE` lists the kinds that a person can create.
    """

    UP = "up"
    DOWN = "down"
    EITHER = "either"
    DAY_PERCENT = "day_percent"
    WINDOW_PERCENT = "window_percent"
    DAY_HIGH = "day_high"
    DAY_LOW = "day_low"
    YEAR_HIGH = "year_high"
    YEAR_LOW = "year_low"
    NO_PRICE = "no_price"


class Repeat(StrEnum):
    """How often an alert fires.

    ONCE: the alert fires once. DAILY: at most once per market day. EACH: at each crossing, but not during the cooldown
    after the last firing.
    """

    ONCE = "once"
    DAILY = "daily"
    EACH = "each"


class State(StrEnum):
    """The state of an alert.

    Only an ACTIVE alert can fire. FIRED: an alert that fires once has fired. EXPIRED: `expires_at` is over. FAILED: the
    engine cannot watch the alert. DELETED: the owner deleted the alert and can still undo this.
    """

    ACTIVE = "active"
    PAUSED = "paused"
    FIRED = "fired"
    EXPIRED = "expired"
    FAILED = "failed"
    DELETED = "deleted"


class Side(IntEnum):
    """On which side of an alert's level the price must come from, so that the alert fires.

    BELOW: the alert fires when the price rises to the level. ABOVE: the alert fires when the price falls to the level.
    NONE: the alert is not armed and cannot fire.
    """

    BELOW = -1
    NONE = 0
    ABOVE = 1


class Channel(StrEnum):
    """How a firing reaches its person."""

    PAGE = "page"
    EMAIL = "email"
    WEBHOOK = "webhook"
    APPRISE = "apprise"


class DeliveryState(StrEnum):
    """The state of a delivery. A WAITING delivery will be tried at `next_attempt_at`."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
