"""Defines the database tables of alerts, firings, deliveries, and of the progress of the alert engine.

`alerts.account_alerts` changes alerts for people. The alert engine writes firings, deliveries and progress. All times
with the unit microseconds are unix times.
"""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from feeds.models import Ticker
from feeds.source_names import MAX_SOURCE_LENGTH
from feeds.symbols import MAX_SYMBOL_LENGTH
from watchlist.alert_kinds import Channel, DeliveryState, Kind, Repeat, Side, State

MAX_NOTE_LENGTH = 200


def choices(
    names: type[Kind] | type[Repeat] | type[State] | type[Channel] | type[DeliveryState],
) -> list[tuple[str, str]]:
    """Returns the members of an enumeration as choices of a model field."""
    return [(name.value, name.value.replace("_", " ")) for name in names]


def kind_choices() -> list[tuple[str, str]]:
    """Returns the kinds of alerts as choices.

    Migrations refer to this function, so that a new kind needs no migration.
    """
    return choices(Kind)


def state_choices() -> list[tuple[str, str]]:
    """Returns the states of alerts as choices, for the same reason as `kind_choices`."""
    return choices(State)


class Alert(models.Model):
    """A condition on the price of a ticker, with what happens if the condition becomes true.

    `level`, `percent` and `window_seconds` belong to the condition; each is null if the kind does not use it.

    Only an armed alert can fire. (`since_timestamp`, `since_seq_id`) are the time and the number of the update at which
    the alert was last armed or last fired. The engine ignores updates that are not newer. `arming` counts how often the
    alert was armed. `silent_until`, in microseconds, is the time before which an update causes no firing.

    `version` grows with each change, also with changes by the engine. `changed_at` is the time of the last change. The
    engine finds changes by `changed_at`. So each change must increase `version` and set `changed_at`.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="alerts")
    # A ticker with alerts cannot be deleted. The admin switches it off instead.
    ticker = models.ForeignKey(Ticker, on_delete=models.PROTECT, related_name="alerts")
    kind = models.CharField(max_length=20, choices=kind_choices)
    level = models.FloatField(null=True, blank=True)
    percent = models.FloatField(null=True, blank=True)
    window_seconds = models.PositiveIntegerField(null=True, blank=True)
    repeat = models.CharField(max_length=10, choices=choices(Repeat), default=Repeat.ONCE.value)
    cooldown_seconds = models.PositiveIntegerField(default=0)
    expires_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=MAX_NOTE_LENGTH, blank=True, default="")
    by_page = models.BooleanField(default=True)
    by_email = models.BooleanField(default=False)
    by_webhook = models.BooleanField(default=False)
    by_apprise = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    state = models.CharField(max_length=10, choices=state_choices, default=State.ACTIVE.value)
    state_reason = models.CharField(max_length=200, blank=True, default="")
    side = models.SmallIntegerField(default=Side.NONE.value, editable=False)
    arming = models.PositiveIntegerField(default=0, editable=False)
    since_timestamp = models.BigIntegerField(default=0, editable=False)
    since_seq_id = models.BigIntegerField(default=0, editable=False)
    silent_until = models.BigIntegerField(default=0, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    changed_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["changed_at"], name="alerts_by_change")]

    def __str__(self) -> str:
        return f"alert {self.pk} ({self.kind})"

    @property
    def channels(self) -> list[Channel]:
        """The channels by which firings of this alert are delivered."""
        flags = {
            Channel.PAGE: self.by_page,
            Channel.EMAIL: self.by_email,
            Channel.WEBHOOK: self.by_webhook,
            Channel.APPRISE: self.by_apprise,
        }
        return [channel for channel, wanted in flags.items() if wanted]


class Firing(models.Model):
    """One event: the condition of an alert became true. An alert fires at most once per arming.

    The update that caused the firing has the price `price`, the time `timestamp` (microseconds, from the exchange) and
    the number `seq_id`. `level` is the level that the price reached; `reference` is the price to which a percentage
    refers, or null if the alert has none. `side` is the side on which the alert was armed. `late` says that a newer
    update of the symbol had arrived before.

    `received_at` is the time at which Kafka got the update, or null if it is unknown. The engine evaluated the update
    at `evaluated_at` and began to write this row at `recorded_at`. `blind_us` says for how many microseconds the armed
    alert was blind: it could not fire, for example because its source was disconnected; null if unknown.
    docs/alerts.md says when an alert is blind.
    """

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="firings")
    arming = models.PositiveIntegerField()
    side = models.SmallIntegerField()
    level = models.FloatField(null=True)
    reference = models.FloatField(null=True)
    price = models.FloatField()
    timestamp = models.BigIntegerField()
    seq_id = models.BigIntegerField()
    source = models.CharField(max_length=MAX_SOURCE_LENGTH)
    late = models.BooleanField(default=False)
    blind_us = models.BigIntegerField(null=True)
    received_at = models.DateTimeField(null=True)
    evaluated_at = models.DateTimeField()
    recorded_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["alert", "arming"], name="one_firing_an_arming")
        ]

    def __str__(self) -> str:
        return f"firing {self.key}"

    @property
    def key(self) -> str:
        """The idempotency key: a receiver that gets the same firing twice gets the same key twice."""
        return f"{self.alert_id}-{self.arming}"


class Delivery(models.Model):
    """One firing to be sent by one channel. The row is written in the same transaction as the firing.

    `attempts` counts the finished attempts. `last_error` is the reason why the last attempt failed.
    """

    firing = models.ForeignKey(Firing, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.CharField(max_length=10, choices=choices(Channel))
    state = models.CharField(max_length=10, choices=choices(DeliveryState), default=DeliveryState.WAITING.value)
    attempts = models.PositiveSmallIntegerField(default=0)
    last_error = models.CharField(max_length=200, blank=True, default="")
    next_attempt_at = models.DateTimeField(default=timezone.now)
    done_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["firing", "channel"], name="one_delivery_a_channel")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["next_attempt_at"],
                name="waiting_deliveries",
                condition=models.Q(state=DeliveryState.WAITING.value),
            )
        ]

    def __str__(self) -> str:
        return f"delivery of firing {self.firing_id} by {self.channel}"


class AlertProgress(models.Model):
    """What the alert engine knows about a symbol after the newest update that it has evaluated.

    The engine writes this row after the alerts and firings of the symbol, about once a second. A restarted engine
    continues after that update. `price`, `timestamp`, `seq_id` and `source` belong to the update. `day` is the ordinal
    of its market day. `reference` is the reference price of that day. `day_high` and `day_low` are the highest and the
    lowest price of that day so far, `past_high` and `past_low` those of the 52 weeks before it. A price that the engine
    does not know is null.
    """

    symbol = models.CharField(max_length=MAX_SYMBOL_LENGTH, unique=True)
    price = models.FloatField()
    timestamp = models.BigIntegerField()
    seq_id = models.BigIntegerField()
    source = models.CharField(max_length=MAX_SOURCE_LENGTH)
    day = models.IntegerField()
    reference = models.FloatField(null=True)
    day_high = models.FloatField(null=True)
    day_low = models.FloatField(null=True)
    past_high = models.FloatField(null=True)
    past_low = models.FloatField(null=True)

    class Meta:
        verbose_name_plural = "alert progress"

    def __str__(self) -> str:
        return f"progress of {self.symbol}"
