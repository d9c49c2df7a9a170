"""Context processor: adds what every page needs, such as the appearance, to the templates."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from watchlist.accounts.preferences import CHOICES, appearance_of


def describe_site(request: HttpRequest) -> dict[str, Any]:
    """Returns the context. The appearance is lazy: it makes a query only if a template uses it."""
    return {
        "appearance": lambda: appearance_of(request),
        "themes": CHOICES["theme"],
        "palettes": CHOICES["palette"],
        "registration_open": settings.REGISTRATION_OPEN,
    }
