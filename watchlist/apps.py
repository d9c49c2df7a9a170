"""Django's configuration of the watchlist app."""

from django.apps import AppConfig


class WatchlistConfig(AppConfig):
    name = "watchlist"
    verbose_name = "Watchlists"

    def ready(self) -> None:
        """Connects the function that Django calls after each sign-in."""
        from watchlist.accounts import visitor_lists  # noqa: F401
