"""Reads and saves the appearance of pages for one person: theme, palette, density and time zone.

The appearance for an account is in the database. The appearance for a visitor is in a cookie.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest, HttpResponse

from watchlist.formatting.numerals import Numerals, pick_numerals
from watchlist.models import Preferences

COOKIE = "look"
COOKIE_SECONDS = 365 * 24 * 3600
CHOICES: dict[str, dict[str, str]] = {
    "theme": {"system": "System", "light": "Light", "dark": "Dark"},
    "palette": {"green": "Green and red", "blue": "Blue and orange"},
    "density": {"roomy": "Comfortable", "compact": "Compact"},
}
"""The valid values of each setting, with their labels. The first value of each setting is the default."""
MAX_ZONE_LENGTH = 64
"""The maximum length of a typed time zone. The names of all time zones are shorter."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """How pages look for one person. `make_appearance` returns only valid values."""

    theme: str = "system"
    palette: str = "green"
    density: str = "roomy"
    zone: str = "UTC"

    @property
    def tz(self) -> ZoneInfo:
        return ZoneInfo(self.zone)


NAMES = tuple(field.name for field in fields(Appearance))
# Each page of an account makes this query. Django would need longer to build it than the database needs to answer it.
SELECT_APPEARANCE = f"SELECT {', '.join(NAMES)} FROM watchlist_preferences WHERE owner_id = %s"  # noqa: S608 - no value is part of the text


@lru_cache(maxsize=1)
def zones() -> tuple[str, ...]:
    """Returns the names of the time zones that a person can choose: `UTC`, then places such as `Asia/Tokyo`."""
    return ("UTC", *sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/")))


def find_zone(text: str) -> str | None:
    """Returns the name of a typed time zone, or None if no time zone matches.

    A person can type a whole name, such as `America/New_York`. The last part, such as `new york`, is enough if no other
    name has the same last part.
    """
    if len(text) > MAX_ZONE_LENGTH:
        return None
    typed = text.strip().casefold().replace(" ", "_")
    by_name = {name.casefold(): name for name in zones()}
    by_place = [name for folded, name in by_name.items() if folded.rsplit("/", 1)[-1] == typed]
    return by_name.get(typed) or (by_place[0] if len(by_place) == 1 else None)


def make_appearance(values: Mapping[str, Any]) -> Appearance:
    """Returns the appearance with these values. A default replaces each invalid or missing value."""
    valid = {name: values[name] for name, choices in CHOICES.items() if values.get(name) in choices}
    if values.get("zone") in zones():
        valid["zone"] = values["zone"]
    return Appearance(**valid)


def appearance_of(request: HttpRequest) -> Appearance:
    """Returns the appearance for the person who makes the request. Queries the database at most once per request."""
    appearance: Appearance | None = getattr(request, "_appearance", None)
    if appearance is None:
        appearance = _read_appearance(request)
        request._appearance = appearance  # type: ignore[attr-defined]
    return appearance


def numerals_for(request: HttpRequest) -> Numerals:
    """Returns the punctuation of numbers in the language that the browser prefers."""
    return pick_numerals(request.headers.get("Accept-Language", ""))


def save_appearance(request: HttpRequest, response: HttpResponse, appearance: Appearance) -> None:
    """Stores the appearance in a cookie and, if the request has an account, in the database."""
    values = asdict(appearance)
    if isinstance(request.user, User):
        Preferences.objects.update_or_create(owner=request.user, defaults=values)
    # Accounts get the cookie too: the appearance stays after signing out.
    response.set_cookie(
        COOKIE,
        "|".join(values.values()),
        max_age=COOKIE_SECONDS,
        samesite="Lax",
        httponly=True,
        secure=request.is_secure(),
    )


def _read_appearance(request: HttpRequest) -> Appearance:
    user = getattr(request, "user", None)
    if isinstance(user, User) and user.is_authenticated:
        with connection.cursor() as cursor:
            cursor.execute(SELECT_APPEARANCE, [user.pk])
            row = cursor.fetchone()
        if row is not None:
            return make_appearance(dict(zip(NAMES, row, strict=True)))
    return appearance_from_cookie(request)


def appearance_from_cookie(request: HttpRequest) -> Appearance:
    """Returns the appearance that was last set in this browser. Makes no database query."""
    return make_appearance(dict(zip(NAMES, request.COOKIES.get(COOKIE, "").split("|"), strict=False)))
