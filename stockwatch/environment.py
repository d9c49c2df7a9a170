"""Typed reading of environment variables; a bad value ends the program with one line that says what is allowed.

Pure: it is given the mapping to read. `settings.py` is the only caller, so that one file shows every setting.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, time, timedelta, tzinfo
from ipaddress import ip_network
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import durationpy

from feeds.symbols import SYMBOL_PATTERN, SYMBOL_RULE, upper_case

DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(h|ms|m|us|µs|ns|s))+|0")
DURATION_WORDS = "a duration such as 500ms, 10s, 1m or 168h"


class BadVariable(SystemExit):
    """A variable has a value that cannot be used. Its text is the one line the operator sees; the exit status is 1."""

    def __init__(self, name: str, value: str, allowed: str) -> None:
        super().__init__(f"stockwatch: {name}={value!r} cannot be used: it must be {allowed}")


class Environment:
    """Reads named variables from a mapping and remembers them with their defaults, to hold the papers against."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.defaults: dict[str, str] = {}

    @property
    def names(self) -> list[str]:
        """What was asked for so far, in that order."""
        return list(self.defaults)

    def text(self, name: str, default: str = "") -> str:
        self.defaults.setdefault(name, default)
        return self._variables.get(name, default).strip()

    def matching(self, name: str, default: str, pattern: str, allowed: str) -> str:
        """A text of which the whole matches the pattern."""
        value = self.text(name, default)
        if not re.fullmatch(pattern, value):
            raise BadVariable(name, value, allowed)
        return value

    def choice(self, name: str, default: str, allowed: Sequence[str]) -> str:
        value = self.text(name, default).lower()
        if value not in allowed:
            raise BadVariable(name, value, "one of " + ", ".join(allowed))
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.text(name, "true" if default else "false").lower()
        if value in {"1", "true", "yes", "on"}:
            return True
        if value in {"0", "false", "no", "off", ""}:
            return False
        raise BadVariable(name, value, "true or false")

    def whole(self, name: str, default: int, least: int = 0, most: int = 2**31) -> int:
        value = self.text(name, str(default))
        if not re.fullmatch(r"[0-9]{1,10}", value) or not least <= int(value) <= most:
            raise BadVariable(name, value, f"a whole number from {least} to {most}")
        return int(value)

    def number(self, name: str, default: float, least: float, most: float) -> float:
        value = self.text(name, str(default))
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]+)?", value) or not least <= float(value) <= most:
            raise BadVariable(name, value, f"a number from {least:g} to {most:g}")
        return float(value)

    def duration(self, name: str, default: str, least: str = "1ms", most: str = "876000h") -> timedelta:
        """A duration as Go writes it; durationpy knows more units than Go, so the form is checked first."""
        value = self.text(name, default)
        shortest, longest = durationpy.from_str(least), durationpy.from_str(most)
        allowed = f"{DURATION_WORDS}, at least {least} and at most {most}"
        if not DURATION.fullmatch(value):
            raise BadVariable(name, value, allowed)
        try:
            duration = durationpy.from_str(value)
        except durationpy.DurationError as error:
            raise BadVariable(name, value, allowed) from error
        if not shortest <= duration <= longest:
            raise BadVariable(name, value, allowed)
        return duration

    def moment(self, name: str, default: str) -> time:
        """A time of day, `09:30`."""
        value = self.text(name, default)
        if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value):
            raise BadVariable(name, value, "a time of day from 00:00 to 23:59")
        return time.fromisoformat(value)

    def zone(self, name: str, default: str) -> tzinfo:
        """A time zone by its name; UTC needs no database of zones on the machine."""
        value = self.text(name, default)
        if value == "UTC":
            return UTC
        try:
            return ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise BadVariable(name, value, "a time zone that this machine knows, such as America/New_York") from error

    def words(self, name: str, default: str = "") -> list[str]:
        """Values between commas, trimmed, the empty ones left out."""
        return [word.strip() for word in self.text(name, default).split(",") if word.strip()]

    def symbols(self, name: str, default: str = "") -> list[str]:
        """Symbols between commas, in any case; upper case comes back."""
        words = self.words(name, default)
        for word in words:
            if not SYMBOL_PATTERN.fullmatch(upper_case(word)):
                raise BadVariable(name, word, f"symbols between commas, each {SYMBOL_RULE}")
        return [upper_case(word) for word in words]

    def address(self, name: str, default: str) -> tuple[str, int]:
        """`host:port` or `:port`; the host is empty in the second form."""
        value = self.text(name, default)
        host, colon, port = value.rpartition(":")
        if not colon or not _is_port(port):
            raise BadVariable(name, value, "host:port or :port, with a port from 1 to 65535")
        return host.strip("[]"), int(port)

    def addresses(self, name: str, default: str) -> list[str]:
        """`host:port` between commas, at least one."""
        values = self.words(name, default)
        for value in values or [""]:
            if not re.fullmatch(r"([^\s,:/]+|\[[0-9a-fA-F:]+\]):[0-9]+", value) or not _is_port(
                value.rpartition(":")[2]
            ):
                allowed = "host:port, several between commas, with ports from 1 to 65535"
                raise BadVariable(name, ",".join(values), allowed)
        return values

    def origins(self, name: str, default: str, wildcard: bool = True) -> list[str]:
        """Exact web origins (`https://example.org`) between commas, or `*` where it is allowed."""
        values = self.words(name, default)
        for value in values:
            if not (wildcard and value == "*") and not _is_origin(value):
                allowed = "origins such as https://example.org between commas"
                raise BadVariable(name, ",".join(values), "* or " + allowed if wildcard else allowed)
        return values

    def networks(self, name: str, default: str = "") -> list[str]:
        """IP addresses or networks between commas."""
        values = self.words(name, default)
        for value in values:
            try:
                ip_network(value, strict=False)
            except ValueError as error:
                raise BadVariable(
                    name, ",".join(values), "addresses or networks such as 10.0.0.0/8 between commas"
                ) from error
        return values

    def prefixed(self, prefix: str) -> dict[str, str]:
        """Variables whose names start with the prefix, by the rest of their names."""
        self.defaults.setdefault(prefix + "*", "")
        return {
            name[len(prefix) :]: value.strip() for name, value in self._variables.items() if name.startswith(prefix)
        }


def _is_port(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,5}", text) is not None and 1 <= int(text) <= 65535


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        # Asking for the port checks it.
        return (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and parts.port != 0
            and not (parts.path or parts.query or parts.fragment or parts.username)
        )
    except ValueError:
        return False
