"""Context processor: adds the values that all pages show to every template."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from watchlist.accounts.preferences import CHOICES, appearance_of


def describe_site(request: HttpRequest) -> dict[str, Any]:
    """Returns the appearance, the themes and palettes to choose from, and whether sign-up is open.

    The appearance is a function. The function queries the database when a template calls it.
    """
    return {
        "appearance": lambda: appearance_of(request),
        "themes": CHOICES["theme"],
        "palettes": CHOICES["palette"],
        "registration_open": settings.REGISTRATION_OPEN,
    }
