"""Says by which channels an account can be told about its alerts."""

from django.contrib.auth.models import User

from watchlist.alert_kinds import Channel


def available_channels(user: User) -> list[Channel]:
    """Returns the channels that work for an account: the page always, e-mail if the account has an address."""
    return [Channel.PAGE, Channel.EMAIL] if user.email else [Channel.PAGE]
