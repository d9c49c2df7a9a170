"""Writes conditions, repeats and channels of alerts as words. Pure."""

from watchlist.alert_kinds import Channel, DeliveryState, Kind, Repeat
from watchlist.alerts.conditions import LEVEL_KINDS
from watchlist.formatting.numbers import write_number, write_signed
from watchlist.formatting.numerals import ENGLISH, Numerals

KIND_LABELS = {
    Kind.UP: "Price rises to a level",
    Kind.DOWN: "Price falls to a level",
    Kind.EITHER: "Price reaches a level from either side",
    Kind.DAY_PERCENT: "Price changes by a percentage from the previous close",
    Kind.WINDOW_PERCENT: "Price changes by a percentage within a time",
    Kind.DAY_HIGH: "New high of the day",
    Kind.DAY_LOW: "New low of the day",
    Kind.YEAR_HIGH: "New 52-week high",
    Kind.YEAR_LOW: "New 52-week low",
    Kind.NO_PRICE: "No price for some time",
}
"""The kinds of alerts as a form offers them."""

CONDITIONS = {
    Kind.UP: "rises to {level}",
    Kind.DOWN: "falls to {level}",
    Kind.EITHER: "reaches {level}",
    Kind.DAY_PERCENT: "{moves} {percent} from the previous close",
    Kind.WINDOW_PERCENT: "{moves} {percent} within {window}",
    Kind.DAY_HIGH: "makes a new high of the day",
    Kind.DAY_LOW: "makes a new low of the day",
    Kind.YEAR_HIGH: "makes a new 52-week high",
    Kind.YEAR_LOW: "makes a new 52-week low",
    Kind.NO_PRICE: "has no price for {window}",
}

CHANNEL_NAMES = {
    Channel.PAGE: "Page",
    Channel.EMAIL: "E-mail",
    Channel.WEBHOOK: "Webhook",
    Channel.APPRISE: "Apprise",
}
DELIVERY_WORDS = {
    DeliveryState.WAITING: "waiting",
    DeliveryState.DONE: "delivered",
    DeliveryState.FAILED: "failed",
}
MAX_DECIMALS = 12
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
"""The units of durations, as pairs of seconds and abbreviation. The longest unit is the first."""


def write_condition(
    kind: Kind, value: float | None, window_seconds: int | None, decimals: int, numerals: Numerals = ENGLISH
) -> str:
    """Returns a condition as the end of a sentence about a symbol, such as `rises to 200.00`.

    `value` is a level or a percent. `decimals` is the number of decimals of the symbol's prices.
    """
    level = percent = moves = ""
    if value is not None and kind in LEVEL_KINDS:
        level = write_level(value, decimals, numerals)
    elif value is not None:
        percent, moves = write_size(value, numerals), "falls" if value < 0 else "rises"
    return CONDITIONS[kind].format(
        level=level, percent=percent, moves=moves, window=write_duration(window_seconds or 0)
    )


def write_level(level: float, decimals: int, numerals: Numerals = ENGLISH) -> str:
    """Returns a level with the symbol's number of decimals, or with more if the level has more."""
    fraction = f"{level:.{MAX_DECIMALS}f}".partition(".")[2].rstrip("0")
    return write_number(level, max(decimals, len(fraction)), numerals)


def write_size(percent: float, numerals: Numerals = ENGLISH) -> str:
    """Returns a percentage without its sign and without unneeded decimals, such as `5%` or `2.5%`."""
    fraction = f"{abs(percent):.4f}".partition(".")[2].rstrip("0")
    return write_number(abs(percent), len(fraction), numerals) + "%"


def write_distance(percent: float | None, numerals: Numerals = ENGLISH) -> str:
    """Returns how far a price is from a level, such as `+1.50%`; an empty text for None."""
    return "" if percent is None else write_signed(percent, 2, numerals) + "%"


def write_duration(seconds: int) -> str:
    """Returns a duration in the longest unit that divides it, such as `90 min` or `2 h`."""
    size, unit = next((size, unit) for size, unit in UNITS if seconds % size == 0)
    return f"{seconds // size} {unit}"


def write_rough_duration(seconds: float) -> str:
    """Returns a duration of at least a second as a whole number of the longest unit that fits, such as `3 min`."""
    size, unit = next((size, unit) for size, unit in UNITS if round(seconds) >= size or size == 1)
    return f"{seconds / size:.0f} {unit}"


def write_repeat(repeat: Repeat, cooldown_seconds: int) -> str:
    """Returns how often an alert fires, such as `once`."""
    if repeat is Repeat.EACH:
        return f"each time, at most every {write_duration(cooldown_seconds)}"
    return "once a day" if repeat is Repeat.DAILY else "once"
