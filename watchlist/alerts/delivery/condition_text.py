"""Writes the conditions of alerts and their firings as text for messages. Pure."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from watchlist.alert_kinds import Kind
from watchlist.alerts.delivery.turns import DueFiring
from watchlist.formatting.numbers import write_number, write_percent

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def describe_condition(firing: DueFiring) -> str:
    """Returns the condition of the alert, such as `at or above 150.00`. For an unknown kind, returns its name."""
    level = "a level" if firing.level is None else write_number(firing.level, firing.decimals)
    percent = "a change" if firing.percent is None else write_percent(firing.percent)
    window = _write_seconds(firing.window_seconds or 0)
    texts = {
        Kind.UP: f"at or above {level}",
        Kind.DOWN: f"at or below {level}",
        Kind.EITHER: f"crosses {level}",
        Kind.DAY_PERCENT: f"{percent} from the previous close",
        Kind.WINDOW_PERCENT: f"{percent} within {window}",
        Kind.DAY_HIGH: "new high of the day",
        Kind.DAY_LOW: "new low of the day",
        Kind.YEAR_HIGH: "new high of 52 weeks",
        Kind.YEAR_LOW: "new low of 52 weeks",
        Kind.NO_PRICE: f"no price for {window}",
    }
    return {kind.value: text for kind, text in texts.items()}.get(firing.kind, firing.kind)


def describe_firing(firing: DueFiring, zone: str) -> str:
    """Returns a line about a firing: symbol, price, condition, time with zone, and whether it is late."""
    moment = time_of(firing).astimezone(ZoneInfo(zone))
    late = " (late: newer prices were known before)" if firing.late else ""
    when = moment.strftime("%Y-%m-%d %H:%M:%S %Z")
    return f"{firing.symbol}: {write_price(firing)}, {describe_condition(firing)}, {when}{late}"


def write_price(firing: DueFiring) -> str:
    """Returns the price of a firing with the decimals of its ticker."""
    return write_number(firing.price, firing.decimals)


def time_of(firing: DueFiring) -> datetime:
    """Returns the time of the update that caused the firing."""
    return EPOCH + timedelta(microseconds=firing.timestamp)


def _write_seconds(seconds: int) -> str:
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {name}" + ("s" if seconds > size else "")
    return f"{seconds} seconds"
