"""How a person wants the page: theme, palette, density, time zone. An account's are stored, a visitor's in a cookie."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse

from watchlist.formatting.numerals import Numerals, pick_numerals
from watchlist.models import Preferences

COOKIE = "look"
COOKIE_AGE = 365 * 24 * 3600
CHOICES: dict[str, dict[str, str]] = {
    "theme": {"system": "As the system", "light": "Light", "dark": "Dark"},
    "palette": {"green": "Green and red", "blue": "Blue and orange"},
    "density": {"roomy": "Roomy", "compact": "Compact"},
}
"""What each may be, with the words for it; the first is the default."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """Valid whatever it was made from: `make_look` puts the default where a value is not known."""

    theme: str = "system"
    palette: str = "green"
    density: str = "roomy"
    zone: str = "UTC"

    @property
    def tz(self) -> ZoneInfo:
        return ZoneInfo(self.zone)


@lru_cache(maxsize=1)
def zones() -> tuple[str, ...]:
    """All time zones of this machine by name: `UTC`, then places."""
    return ("UTC", *sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/")))


def make_appearance(given: Mapping[str, Any]) -> Appearance:
    """From whatever a form, a cookie or a row says."""
    known = {name: given[name] for name, choices in CHOICES.items() if given.get(name) in choices}
    if given.get("zone") in zones():
        known["zone"] = given["zone"]
    return Appearance(**known)


def appearance_of(request: HttpRequest) -> Appearance:
    """One query at most, once a request."""
    look: Appearance | None = getattr(request, "_look", None)
    if look is None:
        look = _read_look(request)
        request._look = look  # type: ignore[attr-defined]
    return look


def numerals_for(request: HttpRequest) -> Numerals:
    """How the person's browser wants numbers: its language says so."""
    return pick_numerals(request.headers.get("Accept-Language", ""))


def save_appearance(request: HttpRequest, response: HttpResponse, look: Appearance) -> None:
    values = {part.name: getattr(look, part.name) for part in fields(look)}
    if isinstance(request.user, User):
        Preferences.objects.update_or_create(owner=request.user, defaults=values)
    # A browser that signs out keeps the look it had: nobody likes a white page at night.
    response.set_cookie(
        COOKIE, "|".join(values.values()), max_age=COOKIE_AGE, samesite="Lax", httponly=True, secure=request.is_secure()
    )


def _read_look(request: HttpRequest) -> Appearance:
    user = getattr(request, "user", None)
    if isinstance(user, User) and user.is_authenticated:
        row = Preferences.objects.filter(owner=user).values().first()
        if row:
            return make_appearance(row)
    return appearance_from_cookie(request)


def appearance_from_cookie(request: HttpRequest) -> Appearance:
    """What the browser keeps: a visitor's, and what an account's was when it was last set here. Asks nobody."""
    names = [part.name for part in fields(Appearance)]
    return make_appearance(dict(zip(names, request.COOKIES.get(COOKIE, "").split("|"), strict=False)))
