"""Writes a point in time as text. Pure."""

from datetime import UTC, datetime, tzinfo


def write_moment(moment: datetime, now: datetime, zone: tzinfo = UTC) -> str:
    """Returns `moment` as text: `14:03:11 UTC` if `moment` is today, otherwise `2026-11-22 14:03 UTC`.

    Today is the day of `now` in `zone`. `moment` and `now` must have a time zone.
    """
    moment, now = moment.astimezone(zone), now.astimezone(zone)
    form = "%H:%M:%S %Z" if moment.date() == now.date() else "%Y-%m-%d %H:%M %Z"
    return moment.strftime(form)
