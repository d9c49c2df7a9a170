"""Database tables of lists, preferences and personal tokens. The rules of changing lists are in `lists.rules`.

Django finds the tables of `alert_models` and `delivery_models` because this module imports them.
"""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from feeds.models import Ticker
from watchlist.alert_models import Alert, AlertProgress, Delivery, Firing
from watchlist.delivery_models import DeliveryLane, DeliveryTarget

__all__ = [
    "Alert",
    "AlertProgress",
    "ApiToken",
    "Delivery",
    "DeliveryLane",
    "DeliveryTarget",
    "Entry",
    "Firing",
    "Preferences",
    "ShareLink",
    "Watchlist",
]


class Watchlist(models.Model):
    """A named list of one account. `position` orders the lists of an account, from 0.

    `version` increases with every change of the list or its entries. `columns` holds the keys of the chosen columns,
    separated by spaces. `columns` is empty for the default columns.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="watchlists")
    name = models.CharField(max_length=40)
    position = models.PositiveSmallIntegerField(default=0)
    version = models.PositiveIntegerField(default=1, editable=False)
    columns = models.CharField(max_length=200, blank=True, default="", db_default="", editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["position", "id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["owner", "name"], name="one_list_of_a_name", violation_error_message="A list has this name."
            )
        ]

    def __str__(self) -> str:
        return self.name


class Entry(models.Model):
    """A ticker in a list, with the owner's note about the ticker.

    `position` orders the entries of a list. Numbers may be missing between two positions.
    """

    watchlist = models.ForeignKey(Watchlist, on_delete=models.CASCADE, related_name="entries")
    # A ticker that is in a list cannot be deleted. The admin switches it off instead.
    ticker = models.ForeignKey(Ticker, on_delete=models.PROTECT, related_name="entries")
    position = models.PositiveIntegerField(default=0)
    note = models.CharField(max_length=200, blank=True, default="", db_default="")

    class Meta:
        ordering: ClassVar[list[str]] = ["position", "id"]
        verbose_name = "list entry"
        verbose_name_plural = "list entries"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["watchlist", "ticker"],
                name="one_entry_of_a_ticker",
                violation_error_message="The list has this ticker already.",
            )
        ]

    def __str__(self) -> str:
        return f"entry {self.pk} of list {self.watchlist_id}"


class ShareLink(models.Model):
    """A link that shows a list to everyone who has the link. Deleting the row ends the access.

    `token_hash` is the SHA-256 of the token in the link, as 64 hexadecimal digits. The token itself is not stored.
    """

    watchlist = models.OneToOneField(Watchlist, on_delete=models.CASCADE, related_name="share_link")
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    created = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"link to list {self.watchlist_id}"


class Preferences(models.Model):
    """The appearance that the owner of an account chose. `accounts.preferences` defines the valid values."""

    owner = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="preferences")
    theme = models.CharField(max_length=10, default="system")
    palette = models.CharField(max_length=10, default="green")
    density = models.CharField(max_length=10, default="roomy")
    zone = models.CharField(max_length=64, default="UTC")

    class Meta:
        verbose_name_plural = "preferences"

    def __str__(self) -> str:
        return f"preferences of account {self.owner_id}"


class ApiToken(models.Model):
    """A personal token, with which a program uses the account of the owner.

    `digest` is the SHA-256 of the token in hexadecimal digits. The token itself is not stored. `scopes` holds names of
    `accounts.tokens.SCOPES`, separated by spaces. `revoked` is null while the token is valid.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=60)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.CharField(max_length=40)
    created = models.DateTimeField()
    last_used = models.DateTimeField(null=True)
    revoked = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"token “{self.name}” of account {self.owner_id}"

    @property
    def scope_names(self) -> list[str]:
        """The scopes as a list."""
        return self.scopes.split()
