"""Django's configuration of the watchlist app."""

from django.apps import AppConfig


class WatchlistConfig(AppConfig):
    name = "watchlist"
    verbose_name = "Watchlists"

    def ready(self) -> None:
        """Imports `visitor_lists`, so that Django calls `keep_visitor_lists` after each sign-in."""
        from watchlist.accounts import visitor_lists  # noqa: F401
