"""Changes where the firings of an account are delivered, for the page of deliveries."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction

from watchlist.alert_kinds import Channel
from watchlist.alerts.delivery.apprise_urls import check_apprise_url
from watchlist.alerts.delivery.outbox import waiting_deliveries
from watchlist.alerts.delivery.webhooks.addresses import Network
from watchlist.alerts.delivery.webhooks.signature import make_secret
from watchlist.alerts.delivery.webhooks.webhook_url import check_webhook_url
from watchlist.delivery_models import MAX_URL_LENGTH, STOP_ALL, DeliveryLane, DeliveryTarget

OLD_SECRET_LIFETIME = timedelta(hours=24)
"""How long webhooks are also signed with the old secret after the secret was replaced."""

TEST_TIMEOUT = timedelta(minutes=2)
"""If no sender has sent a test message within this time, the person can ask for it again."""


def find_target(owner: User, channel: Channel) -> DeliveryTarget | None:
    """Returns the target of an account for a channel; None if nothing was saved or sent yet."""
    return DeliveryTarget.objects.filter(owner=owner, channel=channel.value).first()


@transaction.atomic
def save_webhook(owner: User, url: str, allowed: Sequence[Network], now: datetime) -> str | None:
    """Stores the URL of the webhook. Returns the new secret if the webhook is new, else None. Raises BadTarget."""
    secret = make_secret()
    url = check_webhook_url(url, allowed)
    target, is_new = DeliveryTarget.objects.get_or_create(
        owner=owner, channel=Channel.WEBHOOK.value, defaults={"url": url, "secret": secret}
    )
    if is_new:
        return secret
    _replace_url(target, url, now)
    return None


@transaction.atomic
def save_apprise(owner: User, url: str, allowed: Collection[str], now: datetime) -> None:
    """Stores the Apprise URL. Raises BadTarget. `allowed` are the schemes that the operator allows."""
    url = check_apprise_url(url, allowed)
    target, is_new = DeliveryTarget.objects.get_or_create(
        owner=owner, channel=Channel.APPRISE.value, defaults={"url": url}
    )
    if not is_new:
        _replace_url(target, url, now)


def _replace_url(target: DeliveryTarget, url: str, now: datetime) -> None:
    """Stores a new URL, and makes the deliveries that wait for a retry due now."""
    DeliveryTarget.objects.filter(pk=target.pk).update(
        url=url, last_error="", last_error_at=None, last_success_at=None, test_asked_at=None, test_done_at=None
    )
    waiting = waiting_deliveries().filter(firing__alert__owner=target.owner_id, channel=target.channel)
    waiting.filter(next_attempt_at__gt=now).update(next_attempt_at=now)
    DeliveryLane.objects.filter(name=f"{target.channel}:{target.owner_id}").update(failures=0, rest_until=now)


def remove_target(owner: User, channel: Channel) -> None:
    """Deletes the URL and the secret. Firings that wait for this channel fail."""
    DeliveryTarget.objects.filter(owner=owner, channel=channel.value).delete()


@transaction.atomic
def rotate_secret(owner: User, now: datetime) -> str | None:
    """Replaces the secret of the webhook and returns it; None if there is no webhook.

    During OLD_SECRET_LIFETIME, webhooks are signed with both secrets. So the receiver has time to change to the new
    secret.
    """
    targets = DeliveryTarget.objects.select_for_update().filter(owner=owner, channel=Channel.WEBHOOK.value)
    target = targets.first()
    if target is None:
        return None
    secret = make_secret()
    targets.update(secret=secret, old_secret=target.secret, old_secret_until=now + OLD_SECRET_LIFETIME)
    return secret


def is_test_waiting(target: DeliveryTarget | None, now: datetime) -> bool:
    """Returns whether a sender will soon send the test message that the person asked for."""
    if target is None or target.test_asked_at is None or target.test_done_at is not None:
        return False
    return target.test_asked_at > now - TEST_TIMEOUT


def ask_for_test(owner: User, channel: Channel, now: datetime) -> None:
    """Asks the sender for a test message."""
    DeliveryTarget.objects.update_or_create(
        owner=owner,
        channel=channel.value,
        defaults={"test_asked_at": now, "test_done_at": None, "test_error": ""},
    )


def has_stopped_emails(target: DeliveryTarget | None, address: str) -> bool:
    """Returns whether the reader of an address has stopped the e-mails of the account."""
    return target is not None and target.stops(address)


@transaction.atomic
def set_emails_stopped(owner_pk: int, address: str, is_stopped: bool) -> bool:
    """Stops or resumes the e-mails of an account to an address. Returns whether the e-mails are stopped now.

    E-mails to other addresses stay stopped if their readers have stopped them. So a change of the
    address of the account does not undo a stop.
    """
    if not User.objects.filter(pk=owner_pk).exists():
        return True
    targets = DeliveryTarget.objects.select_for_update()
    target, _ = targets.get_or_create(owner_id=owner_pk, channel=Channel.EMAIL.value)
    stopped = [other for other in target.stopped_addresses() if other != address.casefold()]
    url = "\n".join([*stopped, address.casefold()] if is_stopped else stopped)
    target.url = STOP_ALL if len(url) > MAX_URL_LENGTH or STOP_ALL in stopped else url
    target.is_stopped = bool(target.url)
    target.save(update_fields=["url", "is_stopped"])
    return target.stops(address)
