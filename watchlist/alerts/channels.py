"""Lists the channels by which an account can receive its firings."""

from django.conf import settings
from django.contrib.auth.models import User

from watchlist.alert_kinds import Channel
from watchlist.delivery_models import DeliveryTarget


def available_channels(user: User) -> list[Channel]:
    """Returns the channels that are set up for an account, in the order of Channel.

    The page always works. E-mail needs an address whose reader has not stopped the e-mails. Apprise also needs the
    setting APPRISE_SERVICES.
    """
    targets = {target.channel: target for target in DeliveryTarget.objects.filter(owner=user)}
    email, webhook, apprise = (targets.get(name.value) for name in (Channel.EMAIL, Channel.WEBHOOK, Channel.APPRISE))
    found = {
        Channel.PAGE: True,
        Channel.EMAIL: bool(user.email) and not (email and email.stops(user.email)),
        Channel.WEBHOOK: bool(webhook and webhook.url),
        Channel.APPRISE: bool(settings.APPRISE_SERVICES and apprise and apprise.url),
    }
    return [channel for channel, is_set_up in found.items() if is_set_up]
