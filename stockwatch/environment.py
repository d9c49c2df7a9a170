"""Reads typed settings from a mapping of environment variables.

Pure: the caller passes the mapping. Only `settings.py` calls this module. An invalid value raises BadVariable, which
ends the program with one line of output.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, time, timedelta, tzinfo
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import durationpy

from feeds.symbols import SYMBOL_PATTERN, SYMBOL_RULE, upper_case

DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(h|ms|m|us|µs|ns|s))+|0")
DURATION_DESCRIPTION = "a duration such as 500ms, 10s, 1m or 168h"
MAX_PORT = 65535
DEFAULT_PORTS = {"http": 80, "https": 443}
STRONG_KEY_DESCRIPTION = "a random text of at least 50 characters"


SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|KEY|URL|SEED")
MAX_SHOWN_CHARACTERS = 100


class BadVariable(SystemExit):
    """A variable has an invalid value.

    The error ends the program with exit status 1. Its text is the one line that the operator sees.
    """

    def __init__(self, name: str, value: str, allowed: str) -> None:
        super().__init__(f"stockwatch: {name}={show(name, value)} cannot be used: it must be {allowed}")


def show(name: str, value: str) -> str:
    """Returns a value as error messages show it.

    A secret, or a value that contains `@`, is shown as `'…'`. A long value is cut off.
    """
    # `user:password@host` contains a password.
    if value and (SECRET_NAME.search(name) or "@" in value):
        return "'…'"
    return repr(value if len(value) <= MAX_SHOWN_CHARACTERS else value[:MAX_SHOWN_CHARACTERS] + "…")


class Environment:
    """Reads variables by name, and stores the default of each variable.

    Every method raises BadVariable if the value is not allowed. White space around a value is ignored.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.defaults: dict[str, str] = {}
        """A dict from variable to default, in the order of reading. Tests compare this dict with the documentation."""

    def text(self, name: str, default: str = "") -> str:
        self.defaults.setdefault(name, default)
        return self._variables.get(name, default).strip()

    def matching_text(self, name: str, default: str, pattern: str, allowed: str) -> str:
        """Returns the value of the variable `name`. Raises BadVariable if `pattern` does not match the whole value.

        `allowed` describes the valid values in the error message.
        """
        value = self.text(name, default)
        if not re.fullmatch(pattern, value):
            raise BadVariable(name, value, allowed)
        return value

    def choice(self, name: str, default: str, allowed: Sequence[str]) -> str:
        """Returns the value of a variable in lower case. Raises BadVariable if the value is not in `allowed`."""
        value = self.text(name, default).lower()
        if value not in allowed:
            raise BadVariable(name, value, "one of " + ", ".join(allowed))
        return value

    def choices(self, name: str, allowed: Sequence[str]) -> list[str]:
        """Returns the words of a comma-separated list in lower case, each once. Each word must be in `allowed`."""
        values = list(dict.fromkeys(value.lower() for value in self.texts(name)))
        if not set(values) <= set(allowed):
            raise BadVariable(name, ",".join(values), "empty, or some of " + ", ".join(allowed) + " between commas")
        return values

    def server_url(self, name: str, *schemes: str) -> str:
        """Returns the URL of a server, such as `wss://example.org`. Removes a final slash. The URL may be empty."""
        value = self.text(name).rstrip("/")
        form = rf"({'|'.join(schemes)})://[^\s/?#]+(/[^\s?#]*)?(\?[^\s#]*)?"
        if value and not (re.fullmatch(form, value) and _has_host(value)):
            raise BadVariable(name, value, f"empty, or a URL that begins with {schemes[0]}://")
        return value

    def boolean(self, name: str, default: bool = False) -> bool:
        value = self.text(name, "true" if default else "false").lower()
        if value in {"1", "true", "yes", "on"}:
            return True
        if value in {"0", "false", "no", "off", ""}:
            return False
        raise BadVariable(name, value, "true or false")

    def integer(self, name: str, default: int, minimum: int = 0, maximum: int = 2**31) -> int:
        value = self.text(name, str(default))
        if not re.fullmatch(r"[0-9]{1,10}", value) or not minimum <= int(value) <= maximum:
            raise BadVariable(name, value, f"a whole number from {minimum} to {maximum}")
        return int(value)

    def number(self, name: str, default: float, minimum: float, maximum: float) -> float:
        value = self.text(name, str(default))
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]+)?", value) or not minimum <= float(value) <= maximum:
            raise BadVariable(name, value, f"a number from {minimum:g} to {maximum:g}")
        return float(value)

    def duration(self, name: str, default: str, minimum: str = "1ms", maximum: str = "876000h") -> timedelta:
        """Returns the duration in a variable, such as `1m30s`, in the syntax of Go.

        Raises BadVariable if the duration is below `minimum` or above `maximum`, or breaks Go's syntax.
        """
        value = self.text(name, default)
        shortest, longest = durationpy.from_str(minimum), durationpy.from_str(maximum)
        allowed = f"{DURATION_DESCRIPTION}, at least {minimum} and at most {maximum}"
        # The library durationpy also accepts units that Go does not have.
        if not DURATION.fullmatch(value):
            raise BadVariable(name, value, allowed)
        try:
            duration = durationpy.from_str(value)
        except durationpy.DurationError as error:
            raise BadVariable(name, value, allowed) from error
        if not shortest <= duration <= longest:
            raise BadVariable(name, value, allowed)
        return duration

    def time_of_day(self, name: str, default: str) -> time:
        """Returns the time of day in a variable, such as `09:30`."""
        value = self.text(name, default)
        if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value):
            raise BadVariable(name, value, "a time of day from 00:00 to 23:59")
        return time.fromisoformat(value)

    def time_zone(self, name: str, default: str) -> tzinfo:
        """Returns the time zone that the variable names."""
        value = self.text(name, default)
        # UTC needs no time zone database on the machine.
        if value == "UTC":
            return UTC
        try:
            return ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise BadVariable(name, value, "a time zone that this machine knows, such as America/New_York") from error

    def texts(self, name: str, default: str = "") -> list[str]:
        """Returns the texts of a comma-separated list. Empty texts are left out."""
        return [text.strip() for text in self.text(name, default).split(",") if text.strip()]

    def symbols(self, name: str, default: str = "") -> list[str]:
        """Returns the symbols of a comma-separated list, in upper case."""
        values = self.texts(name, default)
        for value in values:
            if not SYMBOL_PATTERN.fullmatch(upper_case(value)):
                raise BadVariable(name, value, f"symbols between commas, each {SYMBOL_RULE}")
        return [upper_case(value) for value in values]

    def is_set(self, name: str) -> bool:
        """Returns whether the variable exists and is not empty."""
        return bool(self._variables.get(name, "").strip())

    def address(self, name: str, default: str, note: str = "") -> tuple[str, int]:
        """Returns the host and the port of an address such as `localhost:9092`. The host of `:8000` is empty.

        `note` is appended to the message of BadVariable.
        """
        value = self.text(name, default)
        host, colon, port = value.rpartition(":")
        if not colon or not _is_port(port) or not (not host or _is_host(host) or _is_host(f"[{host}]")):
            raise BadVariable(name, value, f"host:port or :port, with a port from 1 to {MAX_PORT}{note}")
        return host.strip("[]"), int(port)

    def addresses(self, name: str, default: str) -> list[str]:
        """Returns the `host:port` texts of a comma-separated list. The list must not be empty."""
        values = self.texts(name, default)
        for value in values or [""]:
            host, _, port = value.rpartition(":")
            if not _is_host(host) or not _is_port(port):
                allowed = f"host:port, several between commas, with ports from 1 to {MAX_PORT}"
                raise BadVariable(name, ",".join(values), allowed)
        return values

    def nodes(self, name: str, default: str) -> tuple[tuple[str, int], ...]:
        """Returns the pairs (host, port) of a comma-separated list of `host:port` texts. The list must not be empty."""
        pairs = (address.rpartition(":") for address in self.addresses(name, default))
        return tuple((host.strip("[]"), int(port)) for host, _, port in pairs)

    def origins(self, name: str, default: str, wildcard: bool = True) -> list[str]:
        """Returns the web origins of a comma-separated list, such as `https://example.org`.

        Each origin is returned exactly as browsers send it. If `wildcard` is true, the list may contain `*`. If
        `wildcard` is false, a host may start with `*.`, as in Django's settings.
        """
        values = self.texts(name, default)
        origins = ["*" if wildcard and value == "*" else _normalize_origin(value, not wildcard) for value in values]
        if None in origins:
            allowed = "origins such as https://example.org between commas"
            raise BadVariable(name, ",".join(values), "* or " + allowed if wildcard else allowed)
        return [origin for origin in origins if origin is not None]

    def networks(self, name: str, default: str = "") -> list[str]:
        """Returns the IP addresses or networks of a comma-separated list."""
        values = self.texts(name, default)
        for value in values:
            try:
                ip_network(value, strict=False)
            except ValueError as error:
                raise BadVariable(
                    name, ",".join(values), "addresses or networks such as 10.0.0.0/8 between commas"
                ) from error
        return values

    def prices(self, prefix: str) -> dict[str, float]:
        """Returns the prices of all variables whose names start with `prefix`.

        A price must be above zero. The keys of the result are the names without `prefix`, in upper case.
        """
        prices = {}
        for name, value in self.with_prefix(prefix).items():
            if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,12})?(e[+-]?[0-9]{1,2})?", value.lower()) or float(value) <= 0:
                raise BadVariable(prefix + name, value, "a price above zero, such as 150.25")
            prices[name.upper()] = float(value)
        return prices

    def with_prefix(self, prefix: str) -> dict[str, str]:
        """Returns the variables whose names start with `prefix`.

        The keys of the result are the names without `prefix`.
        """
        self.defaults.setdefault(prefix + "*", "")
        return {
            name[len(prefix) :]: value.strip() for name, value in self._variables.items() if name.startswith(prefix)
        }


def is_strong_key(text: str) -> bool:
    """Returns whether a secret key passes Django's deployment checks."""
    return len(text) >= 50 and len(set(text)) >= 5 and not text.startswith("django-insecure-")


def _has_host(url: str) -> bool:
    """Returns whether a URL has a host and, if it names a port, a valid one."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0  # reading the port also checks it
    except ValueError:
        return False


def _is_port(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,5}", text) is not None and 1 <= int(text) <= MAX_PORT


def _is_host(text: str) -> bool:
    """Returns whether the text is a host name, an IPv4 address, or an IPv6 address in brackets."""
    if not text.startswith("["):
        return re.fullmatch(r"[^\s,:/@\[\]]{1,255}", text) is not None
    try:
        return text.endswith("]") and ip_address(text[1:-1]).version == 6
    except ValueError:
        return False


def _normalize_origin(text: str, any_subdomain: bool) -> str | None:
    """Returns the origin in the form that browsers use, or None if the text is not an origin."""
    try:
        parts = urlsplit(text)
        port = parts.port  # Reading the port also checks it.
        host = _normalize_host(parts.hostname or "", any_subdomain)
    except ValueError:  # includes UnicodeError
        return None
    if parts.scheme not in DEFAULT_PORTS or host is None or port == 0 or not text.isprintable():
        return None
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc or text.endswith(("?", "#")):
        return None
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in {None, DEFAULT_PORTS[parts.scheme]} else "")


def _normalize_host(host: str, any_subdomain: bool) -> str | None:
    """Returns a host name or an IP address in the form that browsers use.

    Returns None or raises ValueError if the host is not valid.
    """
    if ":" in host:
        return f"[{ip_address(host).compressed}]"
    prefix = "*." if any_subdomain and host.startswith("*.") else ""
    name = host.removeprefix(prefix).encode("idna").decode().lower()
    return prefix + name if re.fullmatch(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?", name) else None
