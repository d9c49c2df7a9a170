"""Writes a point in time as text. Pure."""

from datetime import UTC, datetime, tzinfo


def write_moment(moment: datetime, now: datetime, zone: tzinfo = UTC) -> str:
    """Returns the time with its zone, and with the date unless it is today's. Both moments are aware."""
    moment, now = moment.astimezone(zone), now.astimezone(zone)
    form = "%H:%M:%S %Z" if moment.date() == now.date() else "%Y-%m-%d %H:%M %Z"
    return moment.strftime(form)
