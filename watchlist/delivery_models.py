"""Defines the database tables with which the sender delivers firings: targets and lanes.

`alert_models.Delivery` is the outbox: the firings that are to be sent.
"""

from typing import ClassVar

from django.conf import settings
from django.db import models

from watchlist.alert_kinds import Channel

MAX_URL_LENGTH = 1000
STOP_ALL = "*"
"""Stands for all addresses. Used when the addresses that get no e-mails are too long for the column `url`."""


def channel_choices() -> list[tuple[str, str]]:
    """Returns the channels as choices. Migrations refer to this function, so that a new channel needs no migration."""
    return [(channel.value, channel.value) for channel in Channel]


class DeliveryTarget(models.Model):
    """Where the firings of an account go by one channel, and how the last attempt ended.

    `url` is the URL of the webhook or of Apprise. E-mails go to the account's address, so `url` has another meaning for
    e-mails: the addresses whose readers have stopped the e-mails, one a line. `is_stopped` says whether there are such
    addresses. The sender signs webhooks with `secret`, and until `old_secret_until` also with `old_secret`.

    `last_error` is empty if the last attempt succeeded. A person asks for a test message with `test_asked_at`; the
    sender answers with `test_done_at` and `test_error`, which is empty after a success.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="delivery_targets")
    channel = models.CharField(max_length=10, choices=channel_choices)
    url = models.CharField(max_length=MAX_URL_LENGTH, blank=True, default="")
    secret = models.CharField(max_length=80, blank=True, default="", editable=False)
    old_secret = models.CharField(max_length=80, blank=True, default="", editable=False)
    old_secret_until = models.DateTimeField(null=True, editable=False)
    is_stopped = models.BooleanField(default=False)
    last_error = models.CharField(max_length=200, blank=True, default="")
    last_error_at = models.DateTimeField(null=True)
    last_success_at = models.DateTimeField(null=True)
    test_asked_at = models.DateTimeField(null=True)
    test_done_at = models.DateTimeField(null=True)
    test_error = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["owner", "channel"], name="one_target_a_channel")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["test_asked_at"],
                name="waiting_tests",
                condition=models.Q(test_asked_at__isnull=False, test_done_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"{self.channel} of account {self.owner_id}"

    def stops(self, address: str) -> bool:
        """Returns whether the e-mails to this address, or to all addresses of the account, are stopped."""
        stopped = self.stopped_addresses()
        return STOP_ALL in stopped or address.casefold() in stopped

    def stopped_addresses(self) -> list[str]:
        """Returns the addresses, in lower case, whose readers have stopped the e-mails. May contain STOP_ALL."""
        return self.url.casefold().split("\n") if self.is_stopped else []


class DeliveryLane(models.Model):
    """A lock for one receiver: the webhook or Apprise URL of an account, or an e-mail address.

    `lease` identifies the sender that may use the lane until `leased_until`. Senders renew their leases. The lane of a
    killed sender becomes free when the lease ends. No sender uses the lane before `rest_until`.

    `failures` counts the attempts in a row that the receiver did not answer.
    """

    name = models.CharField(max_length=80, unique=True)
    lease = models.CharField(max_length=32, blank=True, default="")
    leased_until = models.DateTimeField()
    rest_until = models.DateTimeField()
    failures = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"lane {self.name}"
