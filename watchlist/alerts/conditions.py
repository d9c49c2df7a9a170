"""Checks the options of an alert that a person or a program wants to create. Pure."""

import unicodedata
from datetime import datetime, timedelta
from math import isfinite

import msgspec

from watchlist.alert_kinds import Channel, Kind, Repeat
from watchlist.errors import BadAlert

EXTREME_KINDS = (Kind.DAY_HIGH, Kind.DAY_LOW, Kind.YEAR_HIGH, Kind.YEAR_LOW)
CREATABLE = (Kind.UP, Kind.DOWN, Kind.EITHER, Kind.DAY_PERCENT, Kind.WINDOW_PERCENT, *EXTREME_KINDS, Kind.NO_PRICE)
"""The kinds that the engine evaluates. No other kind can be created."""

MAX_LEVEL = 1e12
MIN_PERCENT, MAX_PERCENT = -99.99, 10_000.0
MIN_COOLDOWN_SECONDS, MAX_COOLDOWN_SECONDS = 60, 30 * 24 * 3600
"""The limits of a cooldown. Without a minimum, a price that hovers at a level would cause a firing at each update."""

LEVEL_KINDS = frozenset({Kind.UP, Kind.DOWN, Kind.EITHER})
PERCENT_KINDS = frozenset({Kind.DAY_PERCENT, Kind.WINDOW_PERCENT})
VALUELESS_KINDS = frozenset({*EXTREME_KINDS, Kind.NO_PRICE})
WINDOW_KINDS = frozenset({Kind.WINDOW_PERCENT, Kind.NO_PRICE})
MINUTE_SECONDS = 60
MAX_WINDOW_SECONDS = 24 * 3600

MAX_LIFETIME = timedelta(days=5 * 366)
MAX_NOTE_LENGTH = 200


class AlertOptions(msgspec.Struct, frozen=True):
    """What a person can choose for an alert.

    `value` is a level in the currency of the ticker, or a percent for PERCENT_KINDS; None for all other kinds. A
    positive percent is a rise. `window_seconds` belongs to WINDOW_KINDS: the time in which a change counts, or the time
    without a price. `cooldown_seconds` counts only with Repeat.EACH. `expires_at` has a time zone; None means never.
    """

    kind: Kind
    value: float | None = None
    repeat: Repeat = Repeat.ONCE
    cooldown_seconds: int = 300
    expires_at: datetime | None = None
    note: str = ""
    channels: frozenset[Channel] = frozenset({Channel.PAGE})
    window_seconds: int | None = None


def check_options(options: AlertOptions, now: datetime) -> AlertOptions:
    """Returns the options with a tidy note. The cooldown is 0 if `repeat` is not Repeat.EACH.

    Raises BadAlert if an option is not allowed. The text of the error is a sentence to show to the person.
    """
    if options.kind not in CREATABLE:
        raise BadAlert(f"Alerts of the kind “{options.kind}” cannot be created yet.")
    check_condition(options.kind, options.value, options.window_seconds)
    if not options.channels:
        raise BadAlert("Choose at least one way to be told.")
    if options.expires_at is not None and not now < options.expires_at <= now + MAX_LIFETIME:
        raise BadAlert("The expiry of an alert is in the future, at most five years from now.")
    cooldown = _check_cooldown(options.cooldown_seconds) if options.repeat is Repeat.EACH else 0
    return msgspec.structs.replace(options, cooldown_seconds=cooldown, note=check_note(options.note))


def check_condition(kind: Kind, value: float | None, window_seconds: int | None) -> None:
    """Raises BadAlert if the value or the window is not allowed for this kind of alert."""
    if kind in LEVEL_KINDS:
        if value is None or not 0 < value < MAX_LEVEL:  # also refuses NaN
            raise BadAlert("A level is above 0 and below 1,000,000,000,000.")
    elif kind in PERCENT_KINDS:
        if value is None or not (isfinite(value) and MIN_PERCENT <= value <= MAX_PERCENT and value):
            raise BadAlert("A percentage is from -99.99 to 10,000, and not 0.")
    elif value is not None:
        raise BadAlert("This kind of alert has neither a level nor a percentage.")
    _check_window(kind, window_seconds)


def _check_window(kind: Kind, seconds: int | None) -> None:
    if kind not in WINDOW_KINDS:
        if seconds is not None:
            raise BadAlert("This kind of alert has no time span.")
    elif seconds is None or seconds % MINUTE_SECONDS or not MINUTE_SECONDS <= seconds <= MAX_WINDOW_SECONDS:
        raise BadAlert("The time span of an alert is a number of whole minutes, from one minute to one day.")


def _check_cooldown(seconds: int) -> int:
    if not MIN_COOLDOWN_SECONDS <= seconds <= MAX_COOLDOWN_SECONDS:
        raise BadAlert("A pause between two firings lasts from one minute to 30 days.")
    return seconds


def check_note(note: str) -> str:
    """Returns a note in NFC with single spaces. Raises BadAlert if it is too long or has invisible characters."""
    # The length is checked first, because normalization takes quadratic time. Normalization can shorten a text.
    if len(note) <= 2 * MAX_NOTE_LENGTH:
        note = unicodedata.normalize("NFC", " ".join(note.split()))
    if len(note) > MAX_NOTE_LENGTH:
        raise BadAlert(f"A note can have {MAX_NOTE_LENGTH} characters. This one has {len(note)}.")
    if not all(letter.isprintable() or letter in "\u200c\u200d" for letter in note):
        raise BadAlert("A note cannot contain control characters.")
    return note


def level_of(kind: Kind, value: float, reference: float) -> float:
    """Returns the price level of an alert. `reference` is the price to which a percentage refers."""
    return percent_level(reference, value) if kind in PERCENT_KINDS else value


def percent_level(reference: float, percent: float) -> float:
    """Returns the price that is `percent` above the reference price, rounded to 12 digits.

    A negative percent means below. Without rounding, 10% above 50 would be slightly more than 55. An alert would then
    not fire at a price of 55.
    """
    return float(f"{reference * (1 + percent / 100):.12g}")


def can_rise(kind: Kind, value: float) -> bool:
    """Returns whether an alert fires when the price rises to its level."""
    return value > 0 if kind in PERCENT_KINDS else kind in {Kind.UP, Kind.EITHER}


def can_fall(kind: Kind, value: float) -> bool:
    """Returns whether an alert fires when the price falls to its level."""
    return value < 0 if kind in PERCENT_KINDS else kind in {Kind.DOWN, Kind.EITHER}
