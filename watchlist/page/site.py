"""What every page needs to know of the site: the person's look, whether accounts can be opened, what the prices are."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from watchlist.accounts.preferences import CHOICES, appearance_of


def describe_site(request: HttpRequest) -> dict[str, Any]:
    """The context processor of the page's frame; asks the database only where a template asks it."""
    return {
        "look": lambda: appearance_of(request),
        "themes": CHOICES["theme"],
        "palettes": CHOICES["palette"],
        "registration_open": settings.REGISTRATION_OPEN,
        "source": "Simulated",
    }
