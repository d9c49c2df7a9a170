"""Gives an account one row of each kind of private data, and reads all private data of an account."""

from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from tests.support.watchlist.tokens import bearer
from watchlist.alert_kinds import Channel, Kind
from watchlist.alert_models import Delivery, Firing
from watchlist.alerts.account_alerts import AccountAlerts
from watchlist.alerts.conditions import AlertOptions
from watchlist.lists.share_links import make_link
from watchlist.lists.storage import AccountLists
from watchlist.models import ApiToken, DeliveryTarget, Preferences, Watchlist

SECRET = "Secret plan"
"""A text in all private data of `make_private_data`."""


def make_private_data(person: User) -> dict[str, str]:
    """Stores a list, a note, a link, a token, an alert with a firing, a webhook and preferences. Needs the ticker AAPL.

    Returns the ids of the rows.
    """
    bearer(person)
    lists = AccountLists(person)
    lists.change(lambda lists: lists.rename(0, SECRET))
    listed = Watchlist.objects.get(owner=person)
    lists.change(lambda lists: lists.replace(lists.find(listed.pk).remove("T5").write_note("AAPL", SECRET)))
    make_link(listed.pk)
    options = AlertOptions(Kind.UP, 1.0, note=SECRET)
    alert = AccountAlerts(person).create("AAPL", options, timezone.now()).alert
    firing = Firing.objects.create(
        alert=alert, arming=1, side=1, price=1.0, timestamp=1, seq_id=1, source=SECRET, evaluated_at=timezone.now()
    )
    Delivery.objects.create(firing=firing, channel="page", last_error=SECRET)
    target = DeliveryTarget.objects.create(
        owner=person, channel=Channel.WEBHOOK, url=f"https://example.org/{SECRET}", secret=SECRET
    )
    Preferences.objects.create(owner=person, zone="Europe/Berlin")
    token = ApiToken.objects.get(owner=person)
    rows = {"list": listed, "alert": alert, "firing": firing, "target": target, "token": token, "account": person}
    return {name: str(row.pk) for name, row in rows.items()}


LISTS = "SELECT id FROM watchlist_watchlist WHERE owner_id = %s"
ALERTS = "SELECT id FROM watchlist_alert WHERE owner_id = %s"
FIRINGS = f"SELECT id FROM watchlist_firing WHERE alert_id IN ({ALERTS})"
OWNED = {
    "auth_user": "id = %s",
    **dict.fromkeys(
        [f"watchlist_{name}" for name in ("watchlist", "apitoken", "alert", "deliverytarget", "preferences")],
        "owner_id = %s",
    ),
    "watchlist_entry": f"watchlist_id IN ({LISTS})",
    "watchlist_sharelink": f"watchlist_id IN ({LISTS})",
    "watchlist_firing": f"alert_id IN ({ALERTS})",
    "watchlist_delivery": f"firing_id IN ({FIRINGS})",
}
"""The condition under which a row belongs to an account, for each table with private data but web sessions."""


def dump_private_data(person: User) -> list[tuple[object, ...]]:
    """Returns all rows that belong to an account. Plain SQL, because some tests read them a thousand times."""
    rows: list[tuple[object, ...]] = []
    with connection.cursor() as cursor:
        for table, condition in OWNED.items():
            cursor.execute(f"SELECT * FROM {table} WHERE {condition} ORDER BY id", [person.pk])
            rows += cursor.fetchall()
    return rows
