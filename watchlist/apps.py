"""Django's configuration of the watchlist app."""

from django.apps import AppConfig


class WatchlistConfig(AppConfig):
    name = "watchlist"
    verbose_name = "Watchlists"

    def ready(self) -> None:
        """Connects the receiver of sign-ins."""
        from watchlist.accounts import visitor_lists  # noqa: F401
