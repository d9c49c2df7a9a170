"""Writes a point in time as text. Pure."""

from datetime import UTC, datetime, tzinfo


def write_moment(moment: datetime, now: datetime, zone: tzinfo = UTC) -> str:
    """The time with its zone; with the date where it is not today's."""
    moment, now = moment.astimezone(zone), now.astimezone(zone)
    form = "%H:%M:%S %Z" if moment.date() == now.date() else "%Y-%m-%d %H:%M %Z"
    return moment.strftime(form)
